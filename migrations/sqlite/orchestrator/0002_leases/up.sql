-- Who owns each shard; as long as its lease holds.
ALTER TABLE shards ADD COLUMN owner BLOB;

-- The nodes that gave a sign of life. Times are microseconds since 1970.
CREATE TABLE nodes (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
