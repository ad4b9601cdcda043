-- What becomes of dead letters.
ALTER TABLE dead_letters ADD COLUMN state TEXT NOT NULL DEFAULT 'OPEN';
ALTER TABLE dead_letters ADD COLUMN saga BLOB;

-- The ids of commands, and of the replies to them, begin with their saga's.
UPDATE dead_letters SET saga = unhex(replace(substr(message_id, 1, 36), '-', ''))
    WHERE message_id GLOB '????????-????-????-????-????????????:*'
        AND length(replace(substr(message_id, 1, 36), '-', '')) = 32;

-- The newest letters of a state; of a queue, one range for each state; of a saga.
CREATE INDEX dead_letters_by_state ON dead_letters (state, id);
CREATE INDEX dead_letters_by_queue ON dead_letters (queue, state, id);
CREATE INDEX dead_letters_by_saga ON dead_letters (saga, id);

-- What was decided about dead letters, by whom and why. A row is never deleted.
CREATE TABLE letter_decisions (
    id BLOB PRIMARY KEY,
    letter BLOB NOT NULL,
    at INTEGER NOT NULL,
    -- When its message is to be sent; null once that is settled.
    due_at INTEGER,
    action TEXT NOT NULL,
    who TEXT NOT NULL,
    note TEXT NOT NULL,
    outcome TEXT,
    -- Null once the decision has failed.
    client_key TEXT,
    UNIQUE (letter, client_key)
) STRICT;

-- The decisions about one letter, by age.
CREATE INDEX letter_decisions_by_letter ON letter_decisions (letter, id);

-- What is to be sent, the longest due first.
CREATE INDEX letter_decisions_due ON letter_decisions (due_at) WHERE due_at IS NOT NULL;
