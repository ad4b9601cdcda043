"""A database and a virtual host of this run's own, on the services that scripts/stack started."""

import asyncio
import base64
import json
import os
import urllib.request
import uuid

import aio_pika
import psycopg


def variable(name):
    try:
        return os.environ[name]
    except KeyError:
        raise SystemExit(f"{name} is not set: run this with `make interop`") from None


# What accounts may configure, write and read. No client needs more than that.
RIGHTS = {
    "worker": ("^$", r"^amq\.default$", r"^(inventory|notification)\.commands$"),
    "listener": (r"^(shop\..*|order-events)$", r"^shop\..*$", r"^(shop\..*|order-events)$"),
}


class Services:
    """Gone with the run, whoever is still connected."""

    def __init__(self):
        self.name = f"skald_{uuid.uuid4().hex}"
        self.database = variable("SKALD_TEST_POSTGRES").rpartition("/")[0] + f"/{self.name}"
        self.broker = variable("SKALD_TEST_AMQP").rpartition("/")[0] + f"/{self.name}"

    def __enter__(self):
        self.on_the_server(f"CREATE DATABASE {self.name}")
        self.api("PUT", f"vhosts/{self.name}")
        for role, rights in RIGHTS.items():
            self.api("PUT", f"users/{self.name}_{role}", {"password": self.name, "tags": ""})
            rights = dict(zip(("configure", "write", "read"), rights))
            self.api("PUT", f"permissions/{self.name}/{self.name}_{role}", rights)
        return self

    def account(self, role):
        """Where a client connects that may do only what its role needs."""
        return f"amqp://{self.name}_{role}:{self.name}@{self.broker.rpartition('@')[2]}"

    def __exit__(self, *_):
        for role in RIGHTS:
            self.api("DELETE", f"users/{self.name}_{role}")
        self.api("DELETE", f"vhosts/{self.name}")
        self.on_the_server(f"DROP DATABASE {self.name} WITH (FORCE)")

    def on_the_server(self, statement):
        with psycopg.connect(variable("SKALD_TEST_POSTGRES"), autocommit=True) as connection:
            connection.execute(statement)

    def rows(self, query, *values):
        with psycopg.connect(self.database) as connection:
            return connection.execute(query, values).fetchall()

    def api(self, method, path, body=None):
        login, authority = variable("SKALD_TEST_RABBITMQ_API").removeprefix("http://").split("@")
        login = base64.b64encode(login.encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{authority}/api/{path}", data, headers, method=method)
        urllib.request.urlopen(request, timeout=30).close()

    def queue(self, name):
        """How many messages wait in a queue and how many consume from it; of one that does not exist, none."""
        return asyncio.run(ask_for(self.broker, name))


async def ask_for(broker, queue):
    async with await aio_pika.connect(broker) as connection:
        channel = await connection.channel()
        try:
            found = await channel.declare_queue(queue, passive=True)
        except aio_pika.exceptions.ChannelNotFoundEntity:
            return 0, 0
        return found.declaration_result.message_count, found.declaration_result.consumer_count
