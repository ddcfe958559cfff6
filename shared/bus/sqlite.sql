-- The bus on one SQLite file. Times are seconds since 1970 by the clock of the machine.

CREATE TABLE log (
    name TEXT PRIMARY KEY                           -- a random name, so that no two files are mixed up
) WITHOUT ROWID;

CREATE TABLE message (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,      -- the order of publishing
    key     TEXT NOT NULL,
    value   BLOB NOT NULL,
    headers TEXT NOT NULL,                          -- a JSON object of strings
    time    REAL NOT NULL
);

CREATE TABLE consumer_group (
    name TEXT PRIMARY KEY,
    next INTEGER NOT NULL                           -- the number that it reads next, as last reported
) WITHOUT ROWID;
