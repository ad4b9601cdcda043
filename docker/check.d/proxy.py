"""Runs haproxy.cfg before two nodes that answer or break off as they are told: proxy.py HAPROXY FOLDER.

Only addresses are changed: a name server of its own stands in for Docker's.
"""

import http.client
import http.server
import pathlib
import socket
import struct
import subprocess
import sys
import threading
import time

NODES = ["127.0.0.2", "127.0.0.3"]
PATIENCE_S = 30


def free_port(address="127.0.0.1"):
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


class Node(http.server.BaseHTTPRequestHandler):
    """A node; `moods` says what each does with requests: answer, break off, or refuse."""

    protocol_version = "HTTP/1.1"
    moods = dict.fromkeys(NODES, "answer")
    seen = []

    def handle_one(self):
        me = self.server.server_address[0]
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        mood = self.moods[me]
        if self.path == "/readyz":
            # Once it is gone for long, it is not ready either.
            return self.reply(503 if mood == "not ready" else 200, me)
        self.seen.append((self.command, me))
        if mood == "break off":
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        self.reply(503 if mood == "refuse" else 200, me)

    do_GET = do_POST = do_PUT = handle_one

    def reply(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def answer_names(server):
    """Tells for `skald` where both nodes are, as Docker's name server does."""
    while True:
        query, client = server.recvfrom(512)
        end = query.index(b"\0", 12) + 5
        wants_address = query[12:18] == b"\5skald" and query[end - 4 : end - 2] == b"\0\1"
        found = NODES if wants_address else []
        records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + socket.inet_aton(node) for node in found)
        head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(found), 0, 0)
        server.sendto(head + query[12:end] + records, client)


def ask(port, method, path="/v1/orders", headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body="{}" if method != "GET" else None, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def eventually(what, is_so):
    until = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until, f"not so after {PATIENCE_S} s: {what}"
        time.sleep(0.05)


def try_it(port, inside):
    keyed = {"Idempotency-Key": '"a"'}
    both = lambda: {ask(port, "GET")[1] for _ in range(6)} == set(NODES)
    eventually("both nodes are found by name and get requests", both)

    for mood, alone in [("break off", 502), ("refuse", 503)]:
        Node.moods[NODES[0]] = mood
        for method, headers in [("GET", {}), ("PUT", {}), ("POST", keyed)]:
            answers = {ask(port, method, headers=headers) for _ in range(8)}
            assert answers == {(200, NODES[1])}, f"{mood}: {method} {headers} is repeated at the other node: {answers}"
        Node.seen.clear()
        statuses = [ask(port, "POST")[0] for _ in range(8)]
        assert set(statuses) == {200, alone}, f"{mood}: a POST without a key is not repeated: {statuses}"
        assert len(Node.seen) == 8, f"{mood}: each was sent once: {Node.seen}"
        Node.moods[NODES[0]] = "answer"

    Node.moods[NODES[0]] = "not ready"
    eventually("a node that is not ready gets nothing", lambda: {ask(port, "POST") for _ in range(8)} == {(200, NODES[1])})
    Node.moods[NODES[0]] = "answer"
    eventually("it gets its share again once it is ready", both)

    assert ask(inside, "GET", "/healthz")[0] == 200
    assert "haproxy_server_status" in ask(inside, "GET", "/metrics")[1]


def main(haproxy, folder):
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind(("127.0.0.1", 0))
    threading.Thread(target=answer_names, args=(names,), daemon=True).start()
    inner = free_port(NODES[0])
    for node in NODES:
        server = http.server.ThreadingHTTPServer((node, inner), Node)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    port, inside = free_port(), free_port()
    text = pathlib.Path("docker/haproxy/haproxy.cfg").read_text()
    for shipped, here in [
        ("127.0.0.11:53", f"127.0.0.1:{names.getsockname()[1]}"),
        ("bind :8080", f"bind 127.0.0.1:{port}"),
        ("bind :8404", f"bind 127.0.0.1:{inside}"),
        ("skald:7070", f"skald:{inner}"),
    ]:
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, here)
    config = pathlib.Path(folder, "haproxy.cfg")
    config.write_text(text)
    proxy = subprocess.Popen([haproxy, "-db", "-f", config])
    try:
        eventually("it listens", lambda: proxy.poll() is None and not socket.socket().connect_ex(("127.0.0.1", port)))
        eventually("it has a node", lambda: ask(port, "GET")[0] == 200)
        try_it(port, inside)
    finally:
        proxy.terminate()
        proxy.wait()


main(*sys.argv[1:])
