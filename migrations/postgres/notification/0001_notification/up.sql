-- What was sent to customers, and what the notification worker remembers of its work.

-- The oldest program that may use these tables must know this migration. One row.
CREATE TABLE skald_notification.compatibility (
    id integer PRIMARY KEY CHECK (id = 1),
    needs text NOT NULL
);
INSERT INTO skald_notification.compatibility VALUES (1, '0001');

-- What the worker answered, for each step of each saga. Many rows are rewritten once.
CREATE TABLE skald_notification.work_records (
    saga uuid NOT NULL,
    step text COLLATE "C" NOT NULL,
    record json,
    PRIMARY KEY (saga, step)
) WITH (fillfactor = 80);

-- One row for each idempotency key.
CREATE TABLE skald_notification.notifications (
    key text COLLATE "C" PRIMARY KEY,
    at timestamptz NOT NULL,
    order_id text NOT NULL,
    template text NOT NULL,
    outcome text NOT NULL,
    recipient text
);

-- How many there are, by outcome; each transaction adds to one of a few slots, so that workers do
-- not wait for each other.
CREATE TABLE skald_notification.notification_counts (
    outcome text COLLATE "C" NOT NULL,
    slot integer NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (outcome, slot)
) WITH (fillfactor = 50);
