-- Daybook, the server's tables. SQLite and PostgreSQL have the same tables, columns and names; a
-- test compares the two folders. Inside, rows are joined by integer keys; the ids that travel are
-- unique columns ("uid"). Money is integer minor units beside a currency code. Log and journal
-- tables (entry, envelope, journal, line, assignment, caseload_member, audit) are insert-only but
-- for an entry's outcome.

-- The lender's installation: one row.
CREATE TABLE deployment (
  id          INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  uid         BLOB NOT NULL,
  epoch       BLOB NOT NULL,
  is_test     INTEGER NOT NULL,
  created_at  INTEGER NOT NULL
) STRICT;

-- Settings that differ from their defaults (server/src/settings.rs names them all).
CREATE TABLE setting (
  name    TEXT NOT NULL PRIMARY KEY,
  value   TEXT NOT NULL,
  set_at  INTEGER NOT NULL,
  set_by  INTEGER
) STRICT;

-- The organisation's tree. A role is held at a unit and reaches what is below it.
CREATE TABLE unit (
  id          INTEGER PRIMARY KEY,
  uid         BLOB NOT NULL UNIQUE,
  parent_id   INTEGER REFERENCES unit (id),
  kind        TEXT NOT NULL,
  name        TEXT NOT NULL,
  created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE app_user (
  id              INTEGER PRIMARY KEY,
  uid             BLOB NOT NULL UNIQUE,
  login           TEXT NOT NULL UNIQUE,
  name            TEXT NOT NULL,
  password_hash   TEXT NOT NULL,
  active          INTEGER NOT NULL,
  deactivated_at  INTEGER,
  created_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE user_role (
  user_id     INTEGER NOT NULL REFERENCES app_user (id),
  role        TEXT NOT NULL,
  unit_id     INTEGER NOT NULL REFERENCES unit (id),
  granted_at  INTEGER NOT NULL,
  ended_at    INTEGER,
  PRIMARY KEY (user_id, role, unit_id, granted_at)
) STRICT;

CREATE TABLE enrolment_code (
  hash        BLOB NOT NULL PRIMARY KEY,
  user_id     INTEGER NOT NULL REFERENCES app_user (id),
  created_by  INTEGER REFERENCES app_user (id),
  created_at  INTEGER NOT NULL,
  expires_at  INTEGER NOT NULL,
  device_uid  BLOB
) STRICT;

-- state: active, retired, lost. series: the device's receipt numbers. allowance_minor: what it may
-- still take in the lender's currency, granted at its last sync.
CREATE TABLE device (
  id                 INTEGER PRIMARY KEY,
  uid                BLOB NOT NULL UNIQUE,
  user_id            INTEGER NOT NULL REFERENCES app_user (id),
  public_key         BLOB NOT NULL,
  platform           TEXT,
  state              TEXT NOT NULL,
  state_at           INTEGER NOT NULL,
  enrolled_at        INTEGER NOT NULL,
  series             TEXT NOT NULL UNIQUE,
  receipt_next       INTEGER NOT NULL,
  allowance_minor    INTEGER NOT NULL,
  quarantined_bytes  INTEGER NOT NULL,
  news_seq           INTEGER NOT NULL,
  caseloads_hash     INTEGER NOT NULL,
  last_sync_at       INTEGER
) STRICT;
CREATE INDEX device_user ON device (user_id);

-- after_*: the newest acknowledgement named by the last envelope's header; the lower bound of
-- capture times that cannot be proven otherwise.
CREATE TABLE install (
  id             INTEGER PRIMARY KEY,
  uid            BLOB NOT NULL,
  device_id      INTEGER NOT NULL REFERENCES device (id),
  opened_at      INTEGER NOT NULL,
  closed_at      INTEGER,
  last_number    INTEGER NOT NULL,
  last_envelope  BLOB NOT NULL,
  after_at       INTEGER,
  last_request   INTEGER NOT NULL,
  failures       INTEGER NOT NULL,
  UNIQUE (device_id, uid)
) STRICT;

CREATE TABLE receipt_block (
  id            INTEGER PRIMARY KEY,
  device_id     INTEGER NOT NULL REFERENCES device (id),
  install_id    INTEGER NOT NULL REFERENCES install (id),
  series        TEXT NOT NULL,
  first_number  INTEGER NOT NULL,
  last_number   INTEGER NOT NULL,
  granted_at    INTEGER NOT NULL,
  closed_at     INTEGER,
  UNIQUE (series, first_number)
) STRICT;

-- Every acknowledgement a device was given: what entries name as "after", and time anchors.
CREATE TABLE acknowledgement (
  device_id  INTEGER NOT NULL REFERENCES device (id),
  hash       BLOB NOT NULL,
  at         INTEGER NOT NULL,
  PRIMARY KEY (device_id, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE caseload (
  id         INTEGER PRIMARY KEY,
  uid        BLOB NOT NULL UNIQUE,
  name       TEXT NOT NULL,
  audience   TEXT NOT NULL,
  unit_id    INTEGER NOT NULL REFERENCES unit (id),
  seq        INTEGER NOT NULL,
  pruned_to  INTEGER NOT NULL
) STRICT;

-- Who holds a caseload, from when: append-only, the newest row counts.
CREATE TABLE caseload_member (
  caseload_id  INTEGER NOT NULL REFERENCES caseload (id),
  user_id      INTEGER NOT NULL REFERENCES app_user (id),
  at           INTEGER NOT NULL,
  member       INTEGER NOT NULL,
  PRIMARY KEY (user_id, caseload_id, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE customer (
  id                  INTEGER PRIMARY KEY,
  uid                 BLOB NOT NULL UNIQUE,
  name                TEXT NOT NULL,
  phone               TEXT,
  alt_phone           TEXT,
  national_id_masked  TEXT,
  language            TEXT,
  address             TEXT,
  lat_e6              INTEGER,
  lon_e6              INTEGER
) STRICT;

-- The one receivable. status: pending, active, closed; closed_as says how. The last payment in
-- order of allocation is kept, so that one that sorts after it need not replay the account.
CREATE TABLE account (
  id                     INTEGER PRIMARY KEY,
  uid                    BLOB NOT NULL UNIQUE,
  number                 TEXT NOT NULL UNIQUE,
  customer_id            INTEGER NOT NULL REFERENCES customer (id),
  unit_id                INTEGER NOT NULL REFERENCES unit (id),
  product                TEXT NOT NULL,
  currency               TEXT NOT NULL,
  status                 TEXT NOT NULL,
  closed_as              TEXT,
  disbursed_on           TEXT NOT NULL,
  schedule_version       INTEGER NOT NULL,
  waterfall              TEXT NOT NULL,
  stage                  TEXT NOT NULL,
  original_minor         INTEGER NOT NULL,
  outstanding_principal  INTEGER NOT NULL,
  outstanding_interest   INTEGER NOT NULL,
  outstanding_fee        INTEGER NOT NULL,
  outstanding_penalty    INTEGER NOT NULL,
  paid_minor             INTEGER NOT NULL,
  credit_minor           INTEGER NOT NULL,
  oldest_unmet_due       TEXT,
  last_value_date        TEXT,
  last_payment           BLOB,
  last_paid_minor        INTEGER,
  active_promise         BLOB,
  active_promise_at      INTEGER
) STRICT;
CREATE INDEX account_customer ON account (customer_id);

CREATE TABLE instalment (
  account_id      INTEGER NOT NULL REFERENCES account (id),
  version         INTEGER NOT NULL,
  n               INTEGER NOT NULL,
  due_date        TEXT NOT NULL,
  principal       INTEGER NOT NULL,
  interest        INTEGER NOT NULL,
  fee             INTEGER NOT NULL,
  penalty         INTEGER NOT NULL,
  paid_principal  INTEGER NOT NULL,
  paid_interest   INTEGER NOT NULL,
  paid_fee        INTEGER NOT NULL,
  paid_penalty    INTEGER NOT NULL,
  PRIMARY KEY (account_id, version, n)
) STRICT, WITHOUT ROWID;

-- Field, app, statement and card alike; uid is the maker's (the entry's id for a capture).
-- state: pending, held, posted, refused, failed, expired, reversed. debited: the officer's cash was
-- charged with it (posted cash, and held cash that waits in suspense).
CREATE TABLE payment (
  id            INTEGER PRIMARY KEY,
  uid           BLOB NOT NULL UNIQUE,
  account_id    INTEGER REFERENCES account (id),
  user_id       INTEGER REFERENCES app_user (id),
  source        TEXT NOT NULL,
  channel       TEXT NOT NULL,
  amount_minor  INTEGER NOT NULL,
  currency      TEXT NOT NULL,
  receipt_no    TEXT,
  external_ref  TEXT,
  value_date    TEXT NOT NULL,
  booked_on     TEXT,
  state         TEXT NOT NULL,
  debited       INTEGER NOT NULL
) STRICT;
CREATE INDEX payment_account ON payment (account_id, value_date, uid);

-- What a posted payment paid: derived, replaced when the account is replayed.
CREATE TABLE allocation (
  account_id   INTEGER NOT NULL REFERENCES account (id),
  payment_uid  BLOB NOT NULL,
  n            INTEGER NOT NULL,
  principal    INTEGER NOT NULL,
  interest     INTEGER NOT NULL,
  fee          INTEGER NOT NULL,
  penalty      INTEGER NOT NULL,
  PRIMARY KEY (account_id, payment_uid, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
  id           INTEGER PRIMARY KEY,
  kind         TEXT NOT NULL,
  event        BLOB NOT NULL,
  booked_on    TEXT NOT NULL,
  currency     TEXT NOT NULL,
  correlation  BLOB NOT NULL,
  recorded_at  INTEGER NOT NULL,
  UNIQUE (event, kind)
) STRICT;

-- Debits positive, credits negative; the lines of a journal sum to zero. subject: the key of the
-- user, account or customer that the ledger account is kept for.
CREATE TABLE line (
  journal_id  INTEGER NOT NULL REFERENCES journal (id),
  n           INTEGER NOT NULL,
  gl          TEXT NOT NULL,
  subject     INTEGER,
  minor       INTEGER NOT NULL,
  PRIMARY KEY (journal_id, n)
) STRICT, WITHOUT ROWID;

-- What an officer owes us: the balance of officer_cash, kept by the same transaction as its lines.
CREATE TABLE officer_cash (
  user_id   INTEGER NOT NULL REFERENCES app_user (id),
  currency  TEXT NOT NULL,
  minor     INTEGER NOT NULL,
  PRIMARY KEY (user_id, currency)
) STRICT, WITHOUT ROWID;

CREATE TABLE agent (
  id      INTEGER PRIMARY KEY,
  uid     BLOB NOT NULL UNIQUE,
  code    TEXT NOT NULL UNIQUE,
  name    TEXT NOT NULL,
  outlet  TEXT
) STRICT;

-- kind: case, day, agent, or unknown (named by an entry, never made by us). *_version: the dossier's
-- version when that section of its facts last changed.
CREATE TABLE dossier (
  id                INTEGER PRIMARY KEY,
  uid               BLOB NOT NULL UNIQUE,
  kind              TEXT NOT NULL,
  account_id        INTEGER REFERENCES account (id),
  user_id           INTEGER REFERENCES app_user (id),
  agent_id          INTEGER REFERENCES agent (id),
  caseload_id       INTEGER REFERENCES caseload (id),
  epoch             INTEGER NOT NULL,
  version           INTEGER NOT NULL,
  profile_version   INTEGER NOT NULL,
  schedule_version  INTEGER NOT NULL,
  state_version     INTEGER NOT NULL,
  promises_version  INTEGER NOT NULL,
  timeline_version  INTEGER NOT NULL,
  board_version     INTEGER NOT NULL
) STRICT;
CREATE INDEX dossier_account ON dossier (account_id);

-- Which caseload a dossier was in, from when: append-only. epoch: the membership's, one more each.
CREATE TABLE assignment (
  dossier_id   INTEGER NOT NULL REFERENCES dossier (id),
  epoch        INTEGER NOT NULL,
  caseload_id  INTEGER REFERENCES caseload (id),
  at           INTEGER NOT NULL,
  by_user      INTEGER,
  PRIMARY KEY (dossier_id, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE feed (
  caseload_id  INTEGER NOT NULL REFERENCES caseload (id),
  seq          INTEGER NOT NULL,
  dossier_id   INTEGER NOT NULL REFERENCES dossier (id),
  version      INTEGER NOT NULL,
  present      INTEGER NOT NULL,
  epoch        INTEGER NOT NULL,
  reason       TEXT,
  PRIMARY KEY (caseload_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX feed_dossier ON feed (caseload_id, dossier_id, seq);

CREATE TABLE device_cursor (
  device_id      INTEGER NOT NULL REFERENCES device (id),
  caseload_id    INTEGER NOT NULL REFERENCES caseload (id),
  cursor_bytes   BLOB NOT NULL,
  confirmed_seq  INTEGER NOT NULL,
  confirmed_at   INTEGER NOT NULL,
  PRIMARY KEY (device_id, caseload_id)
) STRICT, WITHOUT ROWID;

-- Every envelope taken, as it came: the audit of the captures, and what a lost answer is derived from.
CREATE TABLE envelope (
  install_id   INTEGER NOT NULL REFERENCES install (id),
  number       INTEGER NOT NULL,
  uid          BLOB NOT NULL,
  bytes        BLOB NOT NULL,
  received_at  INTEGER NOT NULL,
  PRIMARY KEY (install_id, number)
) STRICT;

-- The log. version: the dossier's version that this entry is; outcome_version: that of its newest
-- outcome. captured_at is corrected (sync.rs); flags: codes with a space between.
CREATE TABLE entry (
  id               INTEGER PRIMARY KEY,
  uid              BLOB NOT NULL UNIQUE,
  dossier_id       INTEGER NOT NULL REFERENCES dossier (id),
  version          INTEGER NOT NULL,
  outcome_version  INTEGER NOT NULL,
  entry_type       TEXT NOT NULL,
  device_id        INTEGER NOT NULL REFERENCES device (id),
  install_id       INTEGER NOT NULL REFERENCES install (id),
  user_id          INTEGER NOT NULL REFERENCES app_user (id),
  bytes            BLOB NOT NULL,
  captured_at      INTEGER NOT NULL,
  received_at      INTEGER NOT NULL,
  outcome          TEXT NOT NULL,
  reason           TEXT,
  flags            TEXT
) STRICT;
CREATE INDEX entry_dossier ON entry (dossier_id, version);
CREATE INDEX entry_outcome ON entry (dossier_id, outcome_version) WHERE outcome_version > version;
CREATE INDEX entry_held ON entry (outcome, id) WHERE outcome = 'held';

-- New outcomes of a device's own entries, until it has confirmed them.
CREATE TABLE outcome_news (
  device_id  INTEGER NOT NULL REFERENCES device (id),
  seq        INTEGER NOT NULL,
  entry_id   INTEGER NOT NULL REFERENCES entry (id),
  PRIMARY KEY (device_id, seq)
) STRICT, WITHOUT ROWID;

-- Held entries that act on one the server has not got.
CREATE TABLE waiting (
  ref       BLOB NOT NULL,
  entry_id  INTEGER NOT NULL REFERENCES entry (id),
  PRIMARY KEY (ref, entry_id)
) STRICT, WITHOUT ROWID;

-- Typed rows: what reports read. All derive from the log.
CREATE TABLE visit (
  entry_uid          BLOB NOT NULL PRIMARY KEY,
  dossier_id         INTEGER NOT NULL REFERENCES dossier (id),
  user_id            INTEGER NOT NULL REFERENCES app_user (id),
  kind               TEXT NOT NULL,
  outcome            TEXT NOT NULL,
  person_met         TEXT NOT NULL,
  identity_verified  INTEGER NOT NULL,
  started_at         INTEGER NOT NULL,
  ended_at           INTEGER NOT NULL,
  lat_e6             INTEGER,
  lon_e6             INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE promise (
  entry_uid      BLOB NOT NULL PRIMARY KEY,
  account_id     INTEGER NOT NULL REFERENCES account (id),
  user_id        INTEGER NOT NULL REFERENCES app_user (id),
  amount_minor   INTEGER NOT NULL,
  promised_date  TEXT NOT NULL,
  captured_at    INTEGER NOT NULL,
  status         TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX promise_account ON promise (account_id, captured_at);

CREATE TABLE correction (
  entry_uid    BLOB NOT NULL PRIMARY KEY,
  target       BLOB NOT NULL,
  kind         TEXT NOT NULL,
  user_id      INTEGER NOT NULL REFERENCES app_user (id),
  captured_at  INTEGER NOT NULL,
  status       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE cash_handover (
  entry_uid       BLOB NOT NULL PRIMARY KEY,
  user_id         INTEGER NOT NULL REFERENCES app_user (id),
  recipient       TEXT NOT NULL,
  declared_minor  INTEGER NOT NULL,
  currency        TEXT NOT NULL,
  captured_at     INTEGER NOT NULL,
  status          TEXT NOT NULL,
  counted_minor   INTEGER
) STRICT, WITHOUT ROWID;

-- Each cash repayment is in at most one hand-over that was not sent back.
CREATE TABLE handover_item (
  payment_uid  BLOB NOT NULL PRIMARY KEY,
  entry_uid    BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX handover_item_entry ON handover_item (entry_uid);

CREATE TABLE transaction_check (
  entry_uid          BLOB NOT NULL PRIMARY KEY,
  agent_uid          BLOB NOT NULL,
  user_id            INTEGER NOT NULL REFERENCES app_user (id),
  txn_ref            TEXT NOT NULL,
  txn_type           TEXT NOT NULL,
  amount_minor       INTEGER NOT NULL,
  currency           TEXT NOT NULL,
  txn_at             INTEGER NOT NULL,
  book_amount_minor  INTEGER,
  result             TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE receipt_claim (
  receipt_no   TEXT NOT NULL PRIMARY KEY,
  payment_uid  BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- A board that differs from its kind's genesis, saved.
CREATE TABLE board (
  dossier_id  INTEGER NOT NULL PRIMARY KEY REFERENCES dossier (id),
  bytes       BLOB NOT NULL
) STRICT;

CREATE TABLE board_change (
  dossier_id  INTEGER NOT NULL REFERENCES dossier (id),
  version     INTEGER NOT NULL,
  hash        BLOB NOT NULL,
  bytes       BLOB NOT NULL,
  user_id     INTEGER NOT NULL REFERENCES app_user (id),
  install_id  INTEGER,
  at          INTEGER NOT NULL,
  PRIMARY KEY (dossier_id, version)
) STRICT;
CREATE UNIQUE INDEX board_change_hash ON board_change (dossier_id, hash);

-- Board changes that were not merged, for a supervisor. The bytes go when it is resolved.
CREATE TABLE quarantine (
  id           INTEGER PRIMARY KEY,
  uid          BLOB NOT NULL UNIQUE,
  dossier_uid  BLOB NOT NULL,
  dossier_id   INTEGER,
  install_id   INTEGER NOT NULL REFERENCES install (id),
  user_id      INTEGER NOT NULL REFERENCES app_user (id),
  number       INTEGER NOT NULL,
  position     INTEGER NOT NULL,
  actor_n      INTEGER NOT NULL,
  bytes        BLOB NOT NULL,
  reason       TEXT NOT NULL,
  at           INTEGER NOT NULL,
  resolved_at  INTEGER,
  resolved_by  INTEGER,
  resolution   TEXT
) STRICT;
CREATE INDEX quarantine_install ON quarantine (install_id, dossier_uid);
CREATE INDEX quarantine_envelope ON quarantine (install_id, number);

-- A person's rulings; the first on a subject wins.
CREATE TABLE decision (
  uid      BLOB NOT NULL PRIMARY KEY,
  kind     TEXT NOT NULL,
  subject  BLOB NOT NULL,
  user_id  INTEGER NOT NULL REFERENCES app_user (id),
  at       INTEGER NOT NULL,
  detail   TEXT NOT NULL,
  UNIQUE (kind, subject)
) STRICT;

-- What happened online to a case, for its facts.
CREATE TABLE timeline_event (
  dossier_id    INTEGER NOT NULL REFERENCES dossier (id),
  version       INTEGER NOT NULL,
  at            INTEGER NOT NULL,
  code          TEXT NOT NULL,
  amount_minor  INTEGER,
  user_id       INTEGER,
  PRIMARY KEY (dossier_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  id         INTEGER PRIMARY KEY,
  at         INTEGER NOT NULL,
  user_id    INTEGER,
  device_id  INTEGER,
  action     TEXT NOT NULL,
  subject    TEXT NOT NULL,
  detail     TEXT NOT NULL
) STRICT;
