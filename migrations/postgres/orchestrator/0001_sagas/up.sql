-- Sagas, their history, the orders they are about, and what people want of them.
--
-- Amounts are minor units. JSON is of type json, which keeps a text as it came; jsonb would reorder
-- it and refuse the escape of a zero character. Texts that are searched or sorted by are compared by
-- code point (COLLATE "C"), whatever the database's language. No foreign keys: every row is written
-- by the one transaction that also writes what it refers to.

-- The oldest program that may use these tables must know this migration. One row.
CREATE TABLE skald_orchestrator.compatibility (
    id integer PRIMARY KEY CHECK (id = 1),
    needs text NOT NULL
);
INSERT INTO skald_orchestrator.compatibility VALUES (1, '0001');

-- What this schema was made for. One row.
CREATE TABLE skald_orchestrator.installation (
    id integer PRIMARY KEY CHECK (id = 1),
    shards integer NOT NULL CHECK (shards BETWEEN 1 AND 1024)
);

-- The nodes that gave a sign of life. A node owns its shards as long as its lease holds.
CREATE TABLE skald_orchestrator.nodes (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    url text NOT NULL,
    started_at timestamptz NOT NULL,
    lease_until timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Who owns each shard, and how far its messages have got; one row a shard from the beginning. Every
-- batch rewrites its shard's row, so the pages are left half empty for the new versions.
CREATE TABLE skald_orchestrator.shards (
    shard integer PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT 0,
    last_seq bigint NOT NULL DEFAULT 0,
    commands_mark bigint NOT NULL DEFAULT 0,
    events_mark bigint NOT NULL DEFAULT 0,
    owner uuid
) WITH (fillfactor = 50);

-- What happened to the sagas. A row is only ever appended.
CREATE TABLE skald_orchestrator.history (
    seq bigint NOT NULL,
    sequence bigint NOT NULL,
    at timestamptz NOT NULL,
    shard integer NOT NULL,
    format integer NOT NULL,
    saga uuid NOT NULL,
    event json NOT NULL,
    PRIMARY KEY (shard, seq)
);

-- The history of one saga; also keeps two events from taking the same place in it.
CREATE UNIQUE INDEX history_by_saga ON skald_orchestrator.history (saga, sequence);

-- Where each saga stands. The row is rewritten by every transition, so what a saga was born with is
-- not in it but in its first event.
CREATE TABLE skald_orchestrator.sagas (
    id uuid PRIMARY KEY,
    version bigint NOT NULL,
    due_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    shard integer NOT NULL,
    definition_version integer NOT NULL,
    format integer NOT NULL,
    definition text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    business_key text COLLATE "C" NOT NULL,
    state json NOT NULL
);

-- What is due in a shard, in order. Sagas that wait for nothing are not in it.
CREATE INDEX sagas_due ON skald_orchestrator.sagas (shard, due_at, id) WHERE due_at IS NOT NULL;

-- The sagas of a shard that have not ended.
CREATE INDEX sagas_unfinished ON skald_orchestrator.sagas (shard, id)
    WHERE status IN ('RUNNING', 'ROLLING_BACK', 'NEEDS_ATTENTION');

-- The newest sagas of a status, of a definition, or of both: there are few definitions and five
-- statuses, so a list by one of them merges a few ranges of this index.
CREATE INDEX sagas_by_status ON skald_orchestrator.sagas (definition, status, id);

-- Sagas whose business key begins with a text.
CREATE INDEX sagas_by_key ON skald_orchestrator.sagas (business_key, id);

-- How many sagas there are of each kind, counted apart for each shard so that shards do not wait for
-- each other. A kind that is not here has no saga.
CREATE TABLE skald_orchestrator.saga_counts (
    shard integer NOT NULL,
    definition text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (shard, definition, status)
) WITH (fillfactor = 50);

CREATE TABLE skald_orchestrator.orders (
    id uuid PRIMARY KEY,
    saga uuid NOT NULL,
    total bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    currency text NOT NULL,
    email text,
    reason_code text,
    reason_text text
);

-- A user's newest orders, of one status or (three ranges) of any.
CREATE INDEX orders_by_user ON skald_orchestrator.orders (user_id, status, id);

-- The newest orders of a status.
CREATE INDEX orders_by_status ON skald_orchestrator.orders (status, id);

CREATE TABLE skald_orchestrator.order_items (
    order_id uuid NOT NULL,
    line integer NOT NULL,
    quantity bigint NOT NULL,
    price bigint NOT NULL,
    product text NOT NULL,
    PRIMARY KEY (order_id, line)
);

CREATE TABLE skald_orchestrator.order_counts (
    shard integer NOT NULL,
    status text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (shard, status)
) WITH (fillfactor = 50);

-- Cancelled orders by reason.
CREATE TABLE skald_orchestrator.cancellation_counts (
    shard integer NOT NULL,
    code text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (shard, code)
) WITH (fillfactor = 50);

-- The answers that repeats of a submission get.
CREATE TABLE skald_orchestrator.idempotency_keys (
    key text COLLATE "C" PRIMARY KEY,
    fingerprint bytea NOT NULL,
    order_id uuid NOT NULL,
    taken_at timestamptz NOT NULL,
    answer text NOT NULL
);

-- The oldest keys, which are forgotten first.
CREATE INDEX idempotency_keys_by_age ON skald_orchestrator.idempotency_keys (taken_at);

-- What somebody wants of a saga, and what became of it.
CREATE TABLE skald_orchestrator.saga_inputs (
    id uuid PRIMARY KEY,
    saga uuid NOT NULL,
    if_version bigint,
    at timestamptz NOT NULL,
    shard integer NOT NULL,
    client_key text COLLATE "C" NOT NULL,
    request json NOT NULL,
    outcome json,
    UNIQUE (saga, client_key)
);

-- What the owner of a shard has to look at, oldest first.
CREATE INDEX saga_inputs_pending ON skald_orchestrator.saga_inputs (shard, id) WHERE outcome IS NULL;

-- Who wanted what of which saga, and why. Only ever appended.
CREATE TABLE skald_orchestrator.audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    saga uuid NOT NULL,
    input uuid NOT NULL,
    who text NOT NULL,
    action text NOT NULL,
    note text NOT NULL
);

-- Messages that could not be processed.
CREATE TABLE skald_orchestrator.dead_letters (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    routing_key text NOT NULL,
    reason text NOT NULL,
    headers json NOT NULL,
    body bytea NOT NULL,
    UNIQUE (message_id, queue)
);
