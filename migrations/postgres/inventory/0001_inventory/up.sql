-- Products, what is reserved of them, and what the inventory worker remembers of its work.

-- The oldest program that may use these tables must know this migration. One row.
CREATE TABLE skald_inventory.compatibility (
    id integer PRIMARY KEY CHECK (id = 1),
    needs text NOT NULL
);
INSERT INTO skald_inventory.compatibility VALUES (1, '0001');

-- A hot product's row is rewritten by every batch, so the pages are left half empty for the new
-- versions.
CREATE TABLE skald_inventory.products (
    id text COLLATE "C" PRIMARY KEY,
    on_hand bigint NOT NULL,
    reserved bigint NOT NULL,
    CHECK (reserved >= 0 AND reserved <= on_hand)
) WITH (fillfactor = 50);

-- What the worker answered, for each step of each saga. Many rows are rewritten once.
CREATE TABLE skald_inventory.work_records (
    saga uuid NOT NULL,
    step text COLLATE "C" NOT NULL,
    record json,
    PRIMARY KEY (saga, step)
) WITH (fillfactor = 80);

-- How many of which product each record holds.
CREATE TABLE skald_inventory.reservations (
    saga uuid NOT NULL,
    step text COLLATE "C" NOT NULL,
    product text COLLATE "C" NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (saga, step, product)
);
