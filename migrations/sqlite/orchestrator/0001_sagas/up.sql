-- Sagas, their history, the orders they are about, and what people want of them.
--
-- Ids are 16-byte blobs (UUIDv7, so they sort by birth), moments are microseconds since 1970 UTC,
-- amounts are minor units. No foreign keys: every row is written by the one transaction that also
-- writes what it refers to, and looking that up again would cost a third of an insert.

-- What this file was made for. One row.
CREATE TABLE installation (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    shards INTEGER NOT NULL CHECK (shards BETWEEN 1 AND 1024)
) STRICT;

-- Who owns each shard, and how far its messages have got.
CREATE TABLE shards (
    shard INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    commands_mark INTEGER NOT NULL,
    events_mark INTEGER NOT NULL
) STRICT;

-- What happened to the sagas. A row is only ever appended: its key is shard · 2^48 + seq, which
-- makes this one tree that grows at its right end, full pages only.
CREATE TABLE history (
    position INTEGER PRIMARY KEY,
    saga BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    at INTEGER NOT NULL,
    format INTEGER NOT NULL,
    event TEXT NOT NULL
) STRICT;

-- The history of one saga; also keeps two events from taking the same place in it.
CREATE UNIQUE INDEX history_by_saga ON history (saga, sequence);

-- Where each saga stands. The row is rewritten by every transition, so what a saga was born with
-- is not in it: `birth` is the position of the saga's first event in the history, which has it.
CREATE TABLE sagas (
    birth INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    shard INTEGER NOT NULL,
    definition TEXT NOT NULL,
    definition_version INTEGER NOT NULL,
    business_key TEXT NOT NULL,
    status TEXT NOT NULL,
    version INTEGER NOT NULL,
    due_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    format INTEGER NOT NULL,
    state TEXT NOT NULL
) STRICT;

-- What is due in a shard, in order. Sagas that wait for nothing are not in it.
CREATE INDEX sagas_due ON sagas (shard, due_at, id) WHERE due_at IS NOT NULL;

-- The newest sagas of a status, of a definition, or of both: there are few definitions and five
-- statuses, so a list by one of them merges a few ranges of this index. Also the unfinished ones.
CREATE INDEX sagas_by_status ON sagas (definition, status, id);

-- Sagas whose business key begins with a text.
CREATE INDEX sagas_by_key ON sagas (business_key, id);

-- How many sagas there are of each kind. A kind that is not here has no saga.
CREATE TABLE saga_counts (
    definition TEXT NOT NULL,
    status TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (definition, status)
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
    id BLOB PRIMARY KEY,
    saga BLOB NOT NULL,
    user_id TEXT NOT NULL,
    email TEXT,
    currency TEXT NOT NULL,
    total INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason_code TEXT,
    reason_text TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A user's newest orders, of one status or (three ranges) of any.
CREATE INDEX orders_by_user ON orders (user_id, status, id);

-- The newest orders of a status.
CREATE INDEX orders_by_status ON orders (status, id);

CREATE TABLE order_items (
    order_id BLOB NOT NULL,
    line INTEGER NOT NULL,
    product TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    price INTEGER NOT NULL,
    PRIMARY KEY (order_id, line)
) STRICT, WITHOUT ROWID;

CREATE TABLE order_counts (
    status TEXT PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Cancelled orders by reason.
CREATE TABLE cancellation_counts (
    code TEXT PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The answers that repeats of a submission get.
CREATE TABLE idempotency_keys (
    key TEXT PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    order_id BLOB NOT NULL,
    answer TEXT NOT NULL,
    taken_at INTEGER NOT NULL
) STRICT;

-- The oldest keys, which are forgotten first.
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (taken_at);

-- What somebody wants of a saga, and what became of it.
CREATE TABLE saga_inputs (
    id BLOB PRIMARY KEY,
    saga BLOB NOT NULL,
    shard INTEGER NOT NULL,
    client_key TEXT NOT NULL,
    request TEXT NOT NULL,
    if_version INTEGER,
    at INTEGER NOT NULL,
    outcome TEXT,
    UNIQUE (saga, client_key)
) STRICT;

-- What the owner of a shard has to look at, oldest first.
CREATE INDEX saga_inputs_pending ON saga_inputs (shard, id) WHERE outcome IS NULL;

-- Who wanted what of which saga, and why. Only ever appended.
CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    saga BLOB NOT NULL,
    note TEXT NOT NULL,
    input BLOB NOT NULL
) STRICT;

-- Messages that could not be processed.
CREATE TABLE dead_letters (
    id BLOB PRIMARY KEY,
    message_id TEXT NOT NULL,
    queue TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    reason TEXT NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (message_id, queue)
) STRICT;
