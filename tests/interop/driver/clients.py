"""The clients under test, as anybody would start them, and the stock of the inventory worker."""

import sqlite3
import sys
from contextlib import closing, contextmanager
from pathlib import Path

from processes import Program, wait_for

HERE = Path(__file__).resolve().parent.parent
WORKERS = HERE.parent.parent / "examples" / "workers"


class Clients:
    def __init__(self, folder, services):
        self.folder, self.services = folder, services
        self.stock_file, self.mails = folder / "inventory.db", folder / "mails"
        self.started = 0

    def start(self, name, command, queue):
        """Starts a client and waits until it is the one that consumes from `queue`."""
        wait_for(f"nobody consumes from {queue} any more", lambda: self.services.queue(queue)[1] == 0)
        self.started += 1
        role = "worker" if queue.endswith(".commands") else "listener"
        program = Program(
            f"{self.started}-{name}", command, self.folder, AMQP_URL=self.services.account(role),
            INVENTORY_DB=str(self.stock_file), MAIL_FOLDER=str(self.mails),
        )

        def consumes():
            program.said()
            return self.services.queue(queue)[1] == 1

        wait_for(f"{name} consumes from {queue}; see {program.log}", consumes)
        return program

    def faststream(self):
        return self.start("faststream", [sys.executable, WORKERS / "faststream" / "inventory.py"], "inventory.commands")

    def node(self, package, role, queue):
        return self.start(f"{package}-{role}", ["node", WORKERS / package / "dist" / f"{role}.js"], queue)

    def odd(self, script, queue):
        """A client that is no example."""
        return self.start(script, ["node", HERE / f"{script}.mjs"], queue)

    def sql(self, statement, *values):
        with closing(sqlite3.connect(self.stock_file, timeout=30)) as db, db:
            return db.execute(statement, values).fetchall()

    def stock(self, product):
        return self.sql("SELECT available FROM products WHERE id = ?", product)[0][0]

    @contextmanager
    def stock_locked(self):
        """Holds the inventory worker in the middle of whatever it does."""
        with closing(sqlite3.connect(self.stock_file, timeout=30, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            yield
            db.execute("ROLLBACK")

    @contextmanager
    def stock_broken(self):
        """Lets every transaction of the inventory worker fail."""
        self.sql("ALTER TABLE steps RENAME TO steps_elsewhere")
        yield
        self.sql("ALTER TABLE steps_elsewhere RENAME TO steps")

    @contextmanager
    def mails_broken(self):
        """Lets every mail of the notification worker fail."""
        self.mails.rename(self.folder / "mails-elsewhere")
        yield
        (self.folder / "mails-elsewhere").rename(self.mails)
