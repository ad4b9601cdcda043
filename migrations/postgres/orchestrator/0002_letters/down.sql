DROP TABLE skald_orchestrator.letter_decisions;
DROP INDEX skald_orchestrator.dead_letters_by_saga;
DROP INDEX skald_orchestrator.dead_letters_by_queue;
DROP INDEX skald_orchestrator.dead_letters_by_state;
ALTER TABLE skald_orchestrator.dead_letters DROP COLUMN saga, DROP COLUMN state;
