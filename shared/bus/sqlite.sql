-- The bus on one SQLite file. Times are seconds since 1970 by the clock of the machine.

CREATE TABLE IF NOT EXISTS message (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,      -- the order of publishing
    key     TEXT NOT NULL,
    value   BLOB NOT NULL,
    headers TEXT NOT NULL,                          -- a JSON object of strings
    time    REAL NOT NULL
);

CREATE TABLE IF NOT EXISTS consumer_group (
    name TEXT PRIMARY KEY
) WITHOUT ROWID;

-- What a group has yet to acknowledge.
CREATE TABLE IF NOT EXISTS pending (
    consumer_group TEXT NOT NULL,
    key            TEXT NOT NULL,
    number         INTEGER NOT NULL,
    attempts       INTEGER NOT NULL DEFAULT 0,
    not_before     REAL NOT NULL,
    error          TEXT,                            -- of the last attempt that failed
    PRIMARY KEY (consumer_group, key, number)
) WITHOUT ROWID;

-- One row for each key with something pending: its next message, from when on it may be
-- delivered (the end of a delay, or of somebody's lease), and whose it is until then.
CREATE TABLE IF NOT EXISTS lane (
    consumer_group TEXT NOT NULL,
    key            TEXT NOT NULL,
    number         INTEGER NOT NULL,
    ready_at       REAL NOT NULL,
    holder         TEXT,
    tenant         TEXT NOT NULL DEFAULT '',        -- of the key
    PRIMARY KEY (consumer_group, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lane_ready ON lane (consumer_group, ready_at, number);
CREATE INDEX IF NOT EXISTS lane_of_tenant ON lane (consumer_group, tenant, ready_at, number);
CREATE INDEX IF NOT EXISTS lane_holder ON lane (holder) WHERE holder IS NOT NULL;

-- When a group last served each tenant: a number that grows with every delivery, 0 for never.
CREATE TABLE IF NOT EXISTS turn (
    consumer_group TEXT NOT NULL,
    tenant         TEXT NOT NULL,
    served         INTEGER NOT NULL,
    PRIMARY KEY (consumer_group, tenant)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS turn_served ON turn (consumer_group, served);

CREATE TABLE IF NOT EXISTS dead (
    id             TEXT PRIMARY KEY,
    consumer_group TEXT NOT NULL,
    number         INTEGER NOT NULL,
    error          TEXT NOT NULL,
    attempts       INTEGER NOT NULL,
    time           REAL NOT NULL
) WITHOUT ROWID;
