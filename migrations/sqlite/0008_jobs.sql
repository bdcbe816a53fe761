-- Background work, claimed from the database so that of all replicas one does it. next_at: when it is due
-- again; it is moved ahead by whoever claims it, before the work, so what ends in the middle is done again.
CREATE TABLE job (
  name             TEXT NOT NULL PRIMARY KEY,
  next_at          INTEGER NOT NULL,
  started_at       INTEGER,
  done_at          INTEGER,
  failed_at        INTEGER,
  failure          TEXT,
  items            INTEGER NOT NULL
) STRICT;
