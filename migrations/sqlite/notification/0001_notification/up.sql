-- What was sent to customers, and what the notification worker remembers of its work.

-- What the worker answered, for each step of each saga.
CREATE TABLE work_records (
    saga BLOB NOT NULL,
    step TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (saga, step)
) STRICT, WITHOUT ROWID;

-- One row for each idempotency key.
CREATE TABLE notifications (
    key TEXT PRIMARY KEY,
    order_id TEXT NOT NULL,
    template TEXT NOT NULL,
    recipient TEXT,
    outcome TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE notification_counts (
    outcome TEXT PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
