DROP TABLE letter_decisions;
DROP INDEX dead_letters_by_saga;
DROP INDEX dead_letters_by_queue;
DROP INDEX dead_letters_by_state;
ALTER TABLE dead_letters DROP COLUMN saga;
ALTER TABLE dead_letters DROP COLUMN state;
