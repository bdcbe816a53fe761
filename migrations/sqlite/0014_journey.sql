-- The instalment journey: what customers order, what they are offered, what they ask for and sign.

-- An order of a shop, a web shop or an app. customer_id: once it is known who buys. state follows from its
-- events; what it is now is kept beside them: open, cancelled, or returned.
CREATE TABLE shop_order (
  id            INTEGER PRIMARY KEY,
  uid           BLOB NOT NULL UNIQUE,
  channel       TEXT NOT NULL,
  reference     TEXT NOT NULL,
  store         TEXT,
  unit_id       INTEGER REFERENCES unit (id),
  customer_id   INTEGER REFERENCES customer (id),
  amount_minor  INTEGER NOT NULL,
  currency      TEXT NOT NULL,
  placed_at     INTEGER NOT NULL,
  content       BLOB NOT NULL,
  recorded_at   INTEGER NOT NULL,
  UNIQUE (channel, reference)
) STRICT;
CREATE INDEX shop_order_customer ON shop_order (customer_id);
CREATE INDEX shop_order_placed ON shop_order (placed_at);

CREATE TABLE shop_order_line (
  order_id      INTEGER NOT NULL REFERENCES shop_order (id),
  n             INTEGER NOT NULL,
  sku           TEXT NOT NULL,
  title         TEXT NOT NULL,
  category      TEXT,
  quantity      INTEGER NOT NULL,
  amount_minor  INTEGER NOT NULL,
  PRIMARY KEY (order_id, n)
) STRICT, WITHOUT ROWID;

-- What happened to an order: shown (offers), chose (instalments), paid, delivered, returned, rated, cancelled.
-- The first of a kind counts. stars: of a rating, 1 to 5.
CREATE TABLE shop_order_event (
  order_id  INTEGER NOT NULL REFERENCES shop_order (id),
  kind      TEXT NOT NULL,
  at        INTEGER NOT NULL,
  stars     INTEGER,
  by_user   INTEGER REFERENCES app_user (id),
  PRIMARY KEY (order_id, kind)
) STRICT, WITHOUT ROWID;

-- A short code, hashed, that takes on a phone what began in a store.
CREATE TABLE resume_code (
  hash        BLOB NOT NULL PRIMARY KEY,
  order_id    INTEGER NOT NULL REFERENCES shop_order (id),
  created_by  INTEGER NOT NULL REFERENCES app_user (id),
  created_at  INTEGER NOT NULL,
  expires_at  INTEGER NOT NULL,
  used_by     INTEGER REFERENCES app_user (id),
  used_at     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX resume_code_expires ON resume_code (expires_at);

-- Terms (JSON) never change; other terms are another offer. state: draft, active, paused, retired. channels,
-- segments, categories: words with a space between; none is all. season_from, season_to: days of the year, MM-DD.
CREATE TABLE offer (
  id                INTEGER PRIMARY KEY,
  uid               BLOB NOT NULL UNIQUE,
  name              TEXT NOT NULL,
  state             TEXT NOT NULL,
  regime            TEXT NOT NULL,
  terms             TEXT NOT NULL,
  currency          TEXT NOT NULL,
  amount_min_minor  INTEGER NOT NULL,
  amount_max_minor  INTEGER NOT NULL,
  channels          TEXT,
  segments          TEXT,
  categories        TEXT,
  valid_from        TEXT NOT NULL,
  valid_to          TEXT,
  season_from       TEXT,
  season_to         TEXT,
  priority          INTEGER NOT NULL,
  row_version       INTEGER NOT NULL,
  created_at        INTEGER NOT NULL,
  created_by        INTEGER NOT NULL REFERENCES app_user (id)
) STRICT;
CREATE INDEX offer_active ON offer (currency, amount_min_minor) WHERE state = 'active';

-- Immutable: bytes are the quote's content, hash is of them. offline: a phone made it without a connection.
CREATE TABLE quote (
  id            INTEGER PRIMARY KEY,
  uid           BLOB NOT NULL UNIQUE,
  customer_id   INTEGER NOT NULL REFERENCES customer (id),
  order_id      INTEGER REFERENCES shop_order (id),
  offer_id      INTEGER NOT NULL REFERENCES offer (id),
  amount_minor  INTEGER NOT NULL,
  currency      TEXT NOT NULL,
  bytes         BLOB NOT NULL,
  hash          BLOB NOT NULL,
  offline       INTEGER NOT NULL,
  created_at    INTEGER NOT NULL,
  expires_at    INTEGER NOT NULL,
  by_user       INTEGER NOT NULL REFERENCES app_user (id)
) STRICT;
CREATE INDEX quote_customer ON quote (customer_id);
CREATE INDEX quote_order ON quote (order_id);

-- state: deciding, approved, rejected, cancelled, expired, accepted. account_id: once it is accepted.
CREATE TABLE application (
  id                   INTEGER PRIMARY KEY,
  uid                  BLOB NOT NULL UNIQUE,
  customer_id          INTEGER NOT NULL REFERENCES customer (id),
  quote_id             INTEGER NOT NULL UNIQUE REFERENCES quote (id),
  order_id             INTEGER REFERENCES shop_order (id),
  unit_id              INTEGER NOT NULL REFERENCES unit (id),
  channel              TEXT NOT NULL,
  segment              TEXT NOT NULL,
  state                TEXT NOT NULL,
  reason               TEXT,
  cascade_ok           INTEGER NOT NULL,
  submitted_at         INTEGER NOT NULL,
  decided_at           INTEGER,
  approval_expires_at  INTEGER,
  ended_at             INTEGER,
  account_id           INTEGER UNIQUE REFERENCES account (id),
  row_version          INTEGER NOT NULL,
  by_user              INTEGER NOT NULL REFERENCES app_user (id)
) STRICT;
CREATE INDEX application_customer ON application (customer_id);
CREATE INDEX application_open ON application (id) WHERE ended_at IS NULL;
CREATE INDEX application_order ON application (order_id);

-- Each asking of a provider is a row of its own. state by rank: created, sent, awaiting_customer, declined or
-- expired, approved, voided; beside them unknown and not_sent.
CREATE TABLE attempt (
  id              INTEGER PRIMARY KEY,
  uid             BLOB NOT NULL UNIQUE,
  application_id  INTEGER NOT NULL REFERENCES application (id),
  n               INTEGER NOT NULL,
  provider        TEXT NOT NULL,
  state           TEXT NOT NULL,
  reason          TEXT,
  raw_code        TEXT,
  created_at      INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL,
  UNIQUE (application_id, n)
) STRICT;

-- What the customer signs, as it was shown to him, and his signature.
CREATE TABLE contract (
  application_id  INTEGER NOT NULL PRIMARY KEY REFERENCES application (id),
  document        TEXT NOT NULL,
  hash            BLOB NOT NULL,
  made_at         INTEGER NOT NULL,
  signed_at       INTEGER,
  method          TEXT,
  signed_by       INTEGER REFERENCES app_user (id)
) STRICT, WITHOUT ROWID;

-- Who is approved from the own book, from when on: the newest row. rules: JSON.
CREATE TABLE credit_policy (
  id          INTEGER PRIMARY KEY,
  uid         BLOB NOT NULL UNIQUE,
  rules       TEXT NOT NULL,
  created_at  INTEGER NOT NULL,
  by_user     INTEGER NOT NULL REFERENCES app_user (id)
) STRICT;

-- Accounts that began with a contract: what they were sold under. down_payment_minor: due before it is active.
CREATE TABLE account_origin (
  account_id          INTEGER NOT NULL PRIMARY KEY REFERENCES account (id),
  application_id      INTEGER NOT NULL UNIQUE REFERENCES application (id),
  offer_id            INTEGER NOT NULL REFERENCES offer (id),
  quote_id            INTEGER NOT NULL REFERENCES quote (id),
  down_payment_minor  INTEGER NOT NULL,
  accepted_at         INTEGER NOT NULL,
  activated_at        INTEGER
) STRICT, WITHOUT ROWID;
