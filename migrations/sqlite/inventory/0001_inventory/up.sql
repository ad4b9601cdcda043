-- Products, what is reserved of them, and what the inventory worker remembers of its work.

CREATE TABLE products (
    id TEXT PRIMARY KEY,
    on_hand INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    CHECK (reserved >= 0 AND reserved <= on_hand)
) STRICT, WITHOUT ROWID;

-- What the worker answered, for each step of each saga.
CREATE TABLE work_records (
    saga BLOB NOT NULL,
    step TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (saga, step)
) STRICT, WITHOUT ROWID;

-- How many of which product each record holds.
CREATE TABLE reservations (
    saga BLOB NOT NULL,
    step TEXT NOT NULL,
    product TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (saga, step, product)
) STRICT, WITHOUT ROWID;
