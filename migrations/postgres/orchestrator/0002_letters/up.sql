-- What becomes of dead letters. Only expands: a program that does not know the columns stores letters
-- that are open.

ALTER TABLE skald_orchestrator.dead_letters
    ADD COLUMN state text COLLATE "C" NOT NULL DEFAULT 'OPEN',
    ADD COLUMN saga uuid;

-- The ids of commands, and of the replies to them, begin with their saga's.
UPDATE skald_orchestrator.dead_letters SET saga = substr(message_id, 1, 36)::uuid
    WHERE message_id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}:';

-- The newest letters of a state; of a queue, one range for each state; of a saga.
CREATE INDEX dead_letters_by_state ON skald_orchestrator.dead_letters (state, id);
CREATE INDEX dead_letters_by_queue ON skald_orchestrator.dead_letters (queue, state, id);
CREATE INDEX dead_letters_by_saga ON skald_orchestrator.dead_letters (saga, id);

-- What was decided about dead letters, by whom and why. A row is never deleted.
CREATE TABLE skald_orchestrator.letter_decisions (
    id uuid PRIMARY KEY,
    letter uuid NOT NULL,
    at timestamptz NOT NULL,
    -- When its message is to be sent; null once that is settled.
    due_at timestamptz,
    action text NOT NULL,
    who text NOT NULL,
    note text NOT NULL,
    outcome text,
    -- Null once the decision has failed.
    client_key text COLLATE "C",
    UNIQUE (letter, client_key)
);

-- The decisions about one letter, by age.
CREATE INDEX letter_decisions_by_letter ON skald_orchestrator.letter_decisions (letter, id);

-- What is to be sent, the longest due first.
CREATE INDEX letter_decisions_due ON skald_orchestrator.letter_decisions (due_at)
    WHERE due_at IS NOT NULL;
