-- Identity in full: sign-ins of people, whom an outside provider knows, and the audit trail's chain.

-- One row a sign-in. It ends by its time (expires_at, or too long without a refresh) or by ended_as.
CREATE TABLE session (
  id            INTEGER PRIMARY KEY,
  uid           BLOB NOT NULL UNIQUE,
  user_id       INTEGER NOT NULL REFERENCES app_user (id),
  method        TEXT NOT NULL,
  agent         TEXT,
  created_at    INTEGER NOT NULL,
  refreshed_at  INTEGER NOT NULL,
  expires_at    INTEGER NOT NULL,
  ended_at      INTEGER,
  ended_as      TEXT
) STRICT;
CREATE INDEX session_of_user ON session (user_id, id);

-- The refresh tokens of a sign-in, hashed. n counts from 1; the last is unspent. salt: what the next one
-- is made of beside the spent one, kept while the next was never used.
CREATE TABLE refresh_token (
  hash        BLOB NOT NULL PRIMARY KEY,
  session_id  INTEGER NOT NULL REFERENCES session (id),
  n           INTEGER NOT NULL,
  spent_at    INTEGER,
  salt        BLOB,
  UNIQUE (session_id, n)
) STRICT, WITHOUT ROWID;

-- Whom an identity provider means by a subject.
CREATE TABLE identity_link (
  issuer     TEXT NOT NULL,
  subject    TEXT NOT NULL,
  user_id    INTEGER NOT NULL REFERENCES app_user (id),
  linked_at  INTEGER NOT NULL,
  PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_link_user ON identity_link (user_id);

-- The chain. A row is inserted unsealed with its effect; a job gives it its place, the hash of the row
-- before it and its own.
ALTER TABLE audit ADD COLUMN seq INTEGER;
ALTER TABLE audit ADD COLUMN previous BLOB;
ALTER TABLE audit ADD COLUMN hash BLOB;
ALTER TABLE audit ADD COLUMN sealed_at INTEGER;
CREATE UNIQUE INDEX audit_seq ON audit (seq);
CREATE INDEX audit_unsealed ON audit (id) WHERE seq IS NULL;

-- The chain's newest row. Who seals holds this one.
CREATE TABLE audit_head (
  id    INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  seq   INTEGER NOT NULL,
  hash  BLOB NOT NULL
) STRICT;
INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, zeroblob(32));
