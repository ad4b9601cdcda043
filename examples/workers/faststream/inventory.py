"""An inventory worker: answers `inventory.reserve` and `inventory.release`, keeps its records in SQLite."""

import asyncio
import json
import os
import sqlite3
from contextlib import closing, contextmanager

from faststream import AckPolicy, FastStream
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue

DATABASE = os.environ.get("INVENTORY_DB", "inventory.db")
SCHEMA = """
CREATE TABLE IF NOT EXISTS products (id TEXT PRIMARY KEY, available INTEGER NOT NULL CHECK (available >= 0));
CREATE TABLE IF NOT EXISTS steps (
    step TEXT PRIMARY KEY, held TEXT NOT NULL DEFAULT '[]',
    do_generation INTEGER NOT NULL DEFAULT 0, do_answer TEXT,
    undo_generation INTEGER NOT NULL DEFAULT 0, undo_answer TEXT);
"""

broker = RabbitBroker(
    os.environ.get("AMQP_URL", "amqp://localhost"),
    default_channel=Channel(prefetch_count=20),  # without it the broker sends all that it has
)
app = FastStream(broker)
commands = RabbitQueue("inventory.commands", declare=False)  # Skald declares its queues


# A rejected command becomes a dead letter, and the saga asks again.
@broker.subscriber(commands, ack_policy=AckPolicy.REJECT_ON_ERROR)
def inventory(message: dict) -> dict:
    command = message["data"]
    saga, step, generation, direction = command["metadata"]["idempotencyKey"].split(":")
    with transaction() as db:
        return settle(db, f"{saga}:{step}", int(generation), direction, command["data"]["items"])


def settle(db, step, generation, direction, items):
    """Answers from the record of the step, or does what is asked and records the answer."""
    db.execute("INSERT OR IGNORE INTO steps (step) VALUES (?)", (step,))
    record = db.execute("SELECT * FROM steps WHERE step = ?", (step,)).fetchone()
    if direction == "do":
        if record["undo_generation"] >= generation:
            return refused("ALREADY_RELEASED")
        if record["do_generation"] >= generation:
            return json.loads(record["do_answer"])
        answer, held = reserve(db, items)
    else:
        if record["undo_generation"] >= generation:
            return json.loads(record["undo_answer"])
        held = json.loads(record["held"])
        # What a newer do holds is not this undo's to take back.
        is_ours = record["do_generation"] <= generation
        answer, held = release(db, held) if is_ours else (release(db, [])[0], held)
    db.execute(
        f"UPDATE steps SET held = ?, {direction}_generation = ?, {direction}_answer = ? WHERE step = ?",
        (json.dumps(held), generation, json.dumps(answer), step),
    )
    return answer


def reserve(db, items):
    """All of the items or none of them."""
    wanted = {}
    for item in items:
        wanted[item["productId"]] = wanted.get(item["productId"], 0) + item["quantity"]
    for product, quantity in wanted.items():
        found = db.execute("SELECT available FROM products WHERE id = ?", (product,)).fetchone()
        if found is None:
            return refused("UNKNOWN_PRODUCT"), []
        if found["available"] < quantity:
            return refused("INSUFFICIENT_STOCK"), []
    move(db, wanted.items(), -1)
    return {"eventType": "INVENTORY_RESERVED", "data": {"reserved": wanted}}, list(wanted.items())


def release(db, held):
    move(db, held, +1)
    return {"eventType": "INVENTORY_RELEASED", "data": {"released": dict(held)}}, []


def move(db, quantities, sign):
    changes = [(sign * quantity, product) for product, quantity in quantities]
    db.executemany("UPDATE products SET available = available + ? WHERE id = ?", changes)


def refused(code):
    return {"eventType": "INVENTORY_RESERVATION_FAILED", "data": {"reason": {"code": code}}}


@contextmanager
def transaction():
    """Effect and record are one: committed together before the answer leaves."""
    with closing(sqlite3.connect(DATABASE, timeout=60, isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        db.execute("BEGIN IMMEDIATE")
        with db:
            yield db


@app.on_startup
def create_tables():
    with closing(sqlite3.connect(DATABASE)) as db:
        db.executescript(SCHEMA)


if __name__ == "__main__":
    asyncio.run(app.run())
