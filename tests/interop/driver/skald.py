"""Skald, as its users see it: a process and a REST API."""

import json
import re
import urllib.request

from processes import Program, wait_for

ENDED = ("COMPLETED", "CANCELLED")


class Skald:
    """`skald serve` without workers of its own."""

    def __init__(self, binary, folder, services):
        self.program = Program(
            "skald", [binary, "serve", "--workers", "none", "--listen", "127.0.0.1:0", "--data-dir", folder / "data"],
            folder, SKALD_STORE_URL=services.database, SKALD_BUS_URL=services.broker,
        )
        address = wait_for("skald listens", lambda: re.search(r"(http://\S+)/v1", self.program.said()))
        self.url = address[1]

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def has_sent_all(self):
        """Whether the broker has confirmed every command."""
        return self.ask("GET", "/v1/stats")["lag"]["commands"] == 0

    def order(self, product="harp", quantity=1, email="ada@example.org"):
        """Submits an order and returns its saga."""
        items = [{"productId": product, "quantity": quantity, "price": 19.99}]
        body = {"userId": "ada", "items": items, **({"email": email} if email else {})}
        return Saga(self, self.ask("POST", "/v1/orders", body))


class Saga:
    def __init__(self, skald, answer):
        self.skald, self.id, self.order_id = skald, answer["sagaId"], answer["orderId"]

    def get(self):
        return self.skald.ask("GET", f"/v1/sagas/{self.id}")

    def order(self):
        return self.skald.ask("GET", f"/v1/orders/{self.order_id}")

    def cancel(self):
        self.skald.ask("POST", f"/v1/orders/{self.order_id}/cancel", {"reason": "a test"})

    def ends(self, within=60):
        """Waits until it has ended, and returns its order."""
        wait_for(f"saga {self.id} ends: {self.get()}", lambda: self.get()["status"] in ENDED, within)
        return self.order()

    def history(self):
        return self.skald.ask("GET", f"/v1/sagas/{self.id}/history?limit=200")["events"]

    def setbacks(self, step):
        """Why the step was put off, in order."""
        deferred = (event["data"] for event in self.history() if event["type"] == "STEP_DEFERRED")
        return [data["setback"] for data in deferred if data["step"] == step]

    def is_put_off(self, step, setback):
        wait_for(f"{step} of {self.id} is put off: {setback}", lambda: setback in self.setbacks(step))


