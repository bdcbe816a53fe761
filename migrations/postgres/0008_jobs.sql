-- Background work, claimed from the database so that of all replicas one does it. next_at: when it is due
-- again; it is moved ahead by whoever claims it, before the work, so what ends in the middle is done again.
CREATE TABLE job (
  name             TEXT NOT NULL PRIMARY KEY,
  next_at          TIMESTAMPTZ NOT NULL,
  started_at       TIMESTAMPTZ,
  done_at          TIMESTAMPTZ,
  failed_at        TIMESTAMPTZ,
  failure          TEXT,
  items            BIGINT NOT NULL
);
