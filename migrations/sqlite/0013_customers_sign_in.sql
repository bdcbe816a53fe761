-- Signing in by phone and one-time code, messages to customers, consents.
CREATE INDEX customer_phone ON customer (phone) WHERE phone IS NOT NULL;

-- One row a phone number: its newest code, and how many went to it. number and hash are keyed hashes whose key
-- is outside of the database, so that the table names nobody and no code can be tried out on it. hash is null
-- when no code waits. Rows go a day after they were last touched.
CREATE TABLE phone_code (
  number        BLOB NOT NULL PRIMARY KEY,
  hash          BLOB,
  sent_at       INTEGER,
  expires_at    INTEGER,
  tries         INTEGER NOT NULL,
  day_began_at  INTEGER NOT NULL,
  day_codes     INTEGER NOT NULL,
  touched_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX phone_code_touched ON phone_code (touched_at);

-- What is to be sent to customers, written in the transaction of what it tells of. state: waiting, sending,
-- sent, refused, unknown, given_up. sealed: number and parameters, with a key outside of the database; null
-- from done_at on. may_repeat: it harms nobody if it comes twice, so it is sent again when nobody knows
-- whether it was.
CREATE TABLE message (
  id           INTEGER PRIMARY KEY,
  uid          BLOB NOT NULL UNIQUE,
  customer_id  INTEGER REFERENCES customer (id),
  template     TEXT NOT NULL,
  language     TEXT NOT NULL,
  sealed       BLOB,
  may_repeat   INTEGER NOT NULL,
  state        TEXT NOT NULL,
  tries        INTEGER NOT NULL,
  failure      TEXT,
  created_at   INTEGER NOT NULL,
  next_at      INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  done_at      INTEGER
) STRICT;
CREATE INDEX message_due ON message (next_at) WHERE done_at IS NULL;
CREATE INDEX message_done ON message (done_at) WHERE done_at IS NOT NULL;
CREATE INDEX message_template ON message (template, created_at);
CREATE INDEX message_customer ON message (customer_id) WHERE customer_id IS NOT NULL;

-- What customers said may be done with what is known of them: append-only, the newest row of a kind counts.
-- text_version: which text was read. recorded_by: himself, or who acted for him.
CREATE TABLE consent (
  id            INTEGER PRIMARY KEY,
  uid           BLOB NOT NULL UNIQUE,
  customer_id   INTEGER NOT NULL REFERENCES customer (id),
  kind          TEXT NOT NULL,
  text_version  TEXT NOT NULL,
  given         INTEGER NOT NULL,
  recorded_by   INTEGER NOT NULL REFERENCES app_user (id),
  at            INTEGER NOT NULL
) STRICT;
CREATE INDEX consent_customer ON consent (customer_id, kind, id);
