"""What is checked, in this order. Each check starts from what those before it left running."""

from collections import Counter, defaultdict

from processes import wait_for

INVENTORY, NOTIFICATION = "inventory.commands", "notification.commands"
CONFIRMED = ["ORDER_CREATED", "INVENTORY_RESERVED", "ORDER_CONFIRMED", "NOTIFICATION_SENT"]
REFUSED = ["ORDER_CREATED", "INVENTORY_RESERVATION_FAILED", "ORDER_CANCELLED", "NOTIFICATION_SENT"]


def check(condition, what, found=None):
    if not condition:
        raise AssertionError(what if found is None else f"{what}: {found}")


def events_by_saga(program):
    """Of each saga its events in the order of `metadata.sequence`, repeats left out."""
    sagas = defaultdict(dict)
    for event in program.printed():
        sagas[event["metadata"]["sagaId"]][event["metadata"]["sequence"]] = event
    return {saga: [event for _, event in sorted(events.items())] for saga, events in sagas.items()}


def types(events):
    return [event["eventType"] for event in events]


class Checks:
    def __init__(self, skald, clients):
        self.skald, self.clients = skald, clients
        self.inventory = clients.faststream()
        self.notification = clients.node("nestjs", "worker", NOTIFICATION)
        self.nest = clients.node("nestjs", "listener", "shop.nestjs")
        self.golevelup = clients.node("golevelup", "listener", "shop.golevelup")
        stock = [("harp", 1_000_000), ("lute", 3)]
        for product, available in stock:
            clients.sql("INSERT INTO products VALUES (?, ?)", product, available)

    def delivered(self, saga, step, queue):
        """Waits until the worker has the command for a step in its hands, or the broker has sent it off."""
        has_asked = lambda: [event for event in saga.history() if event["data"].get("step") == step]
        wait_for(f"{step} is asked", has_asked)
        wait_for("all commands are sent", self.skald.has_sent_all)
        wait_for(f"{queue} is empty", lambda: self.clients.services.queue(queue)[0] == 0)

    def orders_complete_and_roll_back(self):
        plain = [self.skald.order() for _ in range(50)]
        silent = [self.skald.order(email=None) for _ in range(5)]
        scarce = [self.skald.order("lute") for _ in range(10)]
        unknown = [self.skald.order("kazoo")]
        ended = {saga.id: saga.ends() for saga in plain + silent + scarce + unknown}
        found = Counter((order["status"], order.get("reason", {}).get("code")) for order in ended.values())
        expected = {
            ("CONFIRMED", None): 58, ("CANCELLED", "INSUFFICIENT_STOCK"): 7, ("CANCELLED", "UNKNOWN_PRODUCT"): 1,
        }
        check(found == expected, "not all orders ended as they should", found)
        stock = [self.clients.stock(product) for product in ("harp", "lute")]
        check(stock == [1_000_000 - 55, 0], "the stock is not what was left", stock)
        mails = len(list(self.clients.mails.glob("*.eml")))
        check(mails == 61, "not one mail for each order with an address", mails)
        self.listeners_saw_it_all(ended, {saga.id for saga in silent})
        return "58 orders confirmed by FastStream and NestJS, 8 rolled back, 61 mails, stock as it should be"

    def listeners_saw_it_all(self, ended, silent):
        def golevelup_is_complete():
            seen = events_by_saga(self.golevelup)
            return seen if all(types(seen.get(saga, []))[-1:] == ["NOTIFICATION_SENT"] for saga in ended) else None

        seen = wait_for("golevelup saw the end of every saga", golevelup_is_complete)
        for saga, order in ended.items():
            expected = CONFIRMED if order["status"] == "CONFIRMED" else REFUSED
            check(types(seen[saga]) == expected, f"golevelup saw of {saga}", types(seen[saga]))
            outcome = seen[saga][-1]["data"]["notification"]["outcome"]
            expected = "NO_ADDRESS" if saga in silent else "SENT"
            check(outcome == expected, f"the notification's outcome of {saga}", outcome)

        def nest_is_complete():
            seen = events_by_saga(self.nest)
            return all(types(seen.get(saga, [])) == expected_of_nest(order) for saga, order in ended.items())

        def expected_of_nest(order):
            return ["ORDER_CREATED"] + ["ORDER_CANCELLED"] * (order["status"] == "CANCELLED")

        wait_for("the NestJS listener saw every order placed and cancelled", nest_is_complete)

    def killed_in_the_middle(self):
        with self.clients.stock_locked():
            saga = self.skald.order()
            self.delivered(saga, "reserve-inventory", INVENTORY)
            self.inventory.kill()
        self.inventory = self.clients.faststream()
        order = saga.ends(within=20)
        check(order["status"] == "CONFIRMED", "the order", order)
        check(saga.setbacks("reserve-inventory") == [], "asked again", saga.setbacks("reserve-inventory"))
        return "FastStream was killed in the middle of a reservation: the broker delivered it again, one attempt"

    def rejected(self):
        with self.clients.stock_broken():
            saga = self.skald.order()
            saga.is_put_off("reserve-inventory", "DEAD_LETTERED")
        order = saga.ends()
        check(order["status"] == "CONFIRMED", "the order", order)
        dead = self.dead_letters(INVENTORY)
        check("rejected" in dead, "the reasons of the dead letters", dead)
        return "FastStream rejected a command: a dead letter, the saga was told and asked again"

    def dead_letters(self, queue):
        query = "SELECT DISTINCT reason FROM skald_orchestrator.dead_letters WHERE queue = %s"
        return [reason for (reason,) in self.clients.services.rows(query, queue)]

    def cancelled_while_reserved(self):
        before = self.clients.stock("harp")
        # Frozen, it gets both commands at once, and most likely reserves first.
        self.inventory.freeze()
        saga = self.skald.order()
        self.delivered(saga, "reserve-inventory", INVENTORY)
        saga.cancel()
        self.delivered(saga, "reserve-inventory", INVENTORY)
        self.inventory.thaw()
        order = saga.ends()
        check(order["reason"]["code"] == "CANCELLED_BY_CUSTOMER", "the order", order)
        wait_for("the stock is given back", lambda: self.clients.stock("harp") == before)
        step = f"{saga.id}:reserve-inventory"
        undone = self.clients.sql("SELECT undo_generation FROM steps WHERE step = ?", step)
        check(undone == [(1,)], "the release is not recorded", undone)
        return "an order was cancelled while FastStream was to reserve its goods: the stock is as before"

    def nest_throws(self):
        with self.clients.mails_broken():
            saga = self.skald.order()
            saga.is_put_off("send-confirmation", "UNEXPLAINED")
        saga.ends()
        return "NestJS answered an exception: an unknown outcome, asked again"

    def nest_killed(self):
        self.notification.freeze()
        saga = self.skald.order()
        self.delivered(saga, "send-confirmation", NOTIFICATION)
        self.notification.kill()
        self.notification = self.clients.node("nestjs", "worker", NOTIFICATION)
        saga.ends(within=20)
        check(saga.setbacks("send-confirmation") == [], "asked again", saga.setbacks("send-confirmation"))
        return "NestJS with noAck: false was killed with a command in its hands: delivered again, one attempt"

    def golevelup_works(self):
        self.notification.stop()
        self.notification = self.clients.node("golevelup", "worker", NOTIFICATION)
        saga = self.skald.order()
        saga.ends()
        check(saga.setbacks("send-confirmation") == [], "asked again", saga.setbacks("send-confirmation"))
        with self.clients.mails_broken():
            saga = self.skald.order()
            saga.is_put_off("send-confirmation", "DEAD_LETTERED")
        saga.ends()
        check("rejected" in self.dead_letters(NOTIFICATION), "no dead letter", self.dead_letters(NOTIFICATION))
        return "golevelup answered, and nacked a command: a dead letter, the saga was told and asked again"

    def errors_in_plain_json(self):
        self.inventory.stop()
        self.inventory = self.clients.odd("reply_error", INVENTORY)
        saga = self.skald.order()
        order = saga.ends()
        check(order.get("reason", {}).get("code") == "INSUFFICIENT_STOCK", "the order", order)
        setbacks = saga.setbacks("reserve-inventory")
        check(setbacks == ["UNEXPLAINED"], "the setbacks", setbacks)
        self.inventory.stop()
        self.inventory = self.clients.faststream()
        return 'golevelup answered {"status":"error"}: no success; an empty answer to the release was one'

    def auto_acknowledged(self):
        self.notification.stop()
        self.notification = self.clients.odd("auto_ack", NOTIFICATION)
        self.notification.freeze()
        saga = self.skald.order()
        self.delivered(saga, "send-confirmation", NOTIFICATION)
        self.notification.kill()
        self.notification = self.clients.node("nestjs", "worker", NOTIFICATION)
        self.skald.order().ends()  # which shows that the queue has got past the other command
        saga.ends(within=90)
        check(saga.setbacks("send-confirmation") == ["TIMED_OUT"], "the setbacks", saga.setbacks("send-confirmation"))
        return "NestJS with its default noAck: true lost a command with its process: asked again after the time-out"

    ALL = [
        orders_complete_and_roll_back, killed_in_the_middle, rejected, cancelled_while_reserved, nest_throws, nest_killed,
        golevelup_works, errors_in_plain_json, auto_acknowledged,
    ]
