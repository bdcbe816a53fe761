-- Answers to what people sent with an Idempotency-Key, each written in the transaction of its effect: the
-- same request again is answered from here. Bodies are sealed with a key that is not in the database.
CREATE TABLE idempotency (
  id           INTEGER PRIMARY KEY,
  subject      BLOB NOT NULL,
  method       TEXT NOT NULL,
  route        TEXT NOT NULL,
  request_key  TEXT NOT NULL,
  fingerprint  BLOB NOT NULL,
  status       INTEGER NOT NULL,
  location     TEXT,
  etag         TEXT,
  body         BLOB NOT NULL,
  at           INTEGER NOT NULL,
  UNIQUE (subject, method, route, request_key)
) STRICT;

CREATE INDEX idempotency_at ON idempotency (at);
