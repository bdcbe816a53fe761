-- After the sale: profit earned, late fees, early settlement, returns, refunds, complaints.

-- How much of an instalment's interest is booked as earned: all of it once it fell due. What an account's
-- instalments have beyond it is what the books call unearned.
ALTER TABLE instalment ADD COLUMN earned_interest INTEGER NOT NULL DEFAULT 0;
CREATE INDEX instalment_unearned ON instalment (due_date) WHERE earned_interest < interest;
-- What was taken over was earned in the books before, up to the day of its balances.
UPDATE instalment SET earned_interest = interest WHERE due_date <=
  (SELECT j.booked_on FROM journal j JOIN account a ON a.uid = j.event
   WHERE a.id = instalment.account_id AND j.kind = 'import');

-- The early settlement a customer agreed to and may still pay, or has paid: the key of a row of settlement,
-- which refers to the account.
ALTER TABLE account ADD COLUMN settlement_id INTEGER;

-- An agreement on what paying off early costs. schedule_version: of which it is; settled_version: the version
-- before the rebate, while it is paid.
CREATE TABLE settlement (
  id                INTEGER PRIMARY KEY,
  uid               BLOB NOT NULL UNIQUE,
  account_id        INTEGER NOT NULL REFERENCES account (id),
  agreed_on         TEXT NOT NULL,
  valid_until       TEXT NOT NULL,
  rule              TEXT NOT NULL,
  gross_minor       INTEGER NOT NULL,
  rebate_minor      INTEGER NOT NULL,
  figure_minor      INTEGER NOT NULL,
  currency          TEXT NOT NULL,
  hash              BLOB NOT NULL,
  schedule_version  INTEGER NOT NULL,
  settled_version   INTEGER,
  agreed_at         INTEGER NOT NULL,
  by_user           INTEGER NOT NULL REFERENCES app_user (id)
) STRICT;
CREATE INDEX settlement_account ON settlement (account_id);

-- Line line_n of an account's schedule is the fee for instalment n being late. due_date: the first day on which
-- it was late enough. waived_at: it turned out not to have been late.
CREATE TABLE late_fee (
  account_id    INTEGER NOT NULL REFERENCES account (id),
  line_n        INTEGER NOT NULL,
  n             INTEGER NOT NULL,
  due_date      TEXT NOT NULL,
  amount_minor  INTEGER NOT NULL,
  goes_to       TEXT NOT NULL,
  charged_at    INTEGER NOT NULL,
  waived_at     INTEGER,
  PRIMARY KEY (account_id, line_n)
) STRICT, WITHOUT ROWID;

-- Goods a customer gives back. amount_minor: of the price; profit_minor, cut_minor, refund_minor: what went
-- with it, what the schedule lost and what the customer gets, once the goods were received.
-- state: requested, approved, received, closed, rejected. reason: the customer's words.
CREATE TABLE goods_return (
  id            INTEGER PRIMARY KEY,
  uid           BLOB NOT NULL UNIQUE,
  account_id    INTEGER NOT NULL REFERENCES account (id),
  amount_minor  INTEGER NOT NULL,
  currency      TEXT NOT NULL,
  content       BLOB NOT NULL,
  reason        TEXT,
  state         TEXT NOT NULL,
  profit_minor  INTEGER,
  cut_minor     INTEGER,
  refund_minor  INTEGER,
  row_version   INTEGER NOT NULL,
  requested_at  INTEGER NOT NULL,
  requested_by  INTEGER NOT NULL REFERENCES app_user (id),
  decided_at    INTEGER,
  decided_by    INTEGER REFERENCES app_user (id),
  received_at   INTEGER,
  received_by   INTEGER REFERENCES app_user (id)
) STRICT;
CREATE INDEX goods_return_account ON goods_return (account_id);
CREATE INDEX goods_return_open ON goods_return (id) WHERE received_at IS NULL;

-- How much of which line of the order; line 0 is the sale, where there was no order.
CREATE TABLE goods_return_line (
  return_id     INTEGER NOT NULL REFERENCES goods_return (id),
  n             INTEGER NOT NULL,
  amount_minor  INTEGER NOT NULL,
  PRIMARY KEY (return_id, n)
) STRICT, WITHOUT ROWID;

-- Money that goes back to a customer: for a return, in place of a refund that failed, or else his credit.
-- state: pending, submitted, succeeded, failed, unknown.
CREATE TABLE refund (
  id            INTEGER PRIMARY KEY,
  uid           BLOB NOT NULL UNIQUE,
  account_id    INTEGER NOT NULL REFERENCES account (id),
  return_id     INTEGER REFERENCES goods_return (id),
  replaces_id   INTEGER UNIQUE REFERENCES refund (id),
  amount_minor  INTEGER NOT NULL,
  currency      TEXT NOT NULL,
  state         TEXT NOT NULL,
  channel       TEXT,
  reference     TEXT,
  row_version   INTEGER NOT NULL,
  created_at    INTEGER NOT NULL,
  created_by    INTEGER NOT NULL REFERENCES app_user (id),
  ended_at      INTEGER,
  paid_by       INTEGER REFERENCES app_user (id)
) STRICT;
CREATE INDEX refund_account ON refund (account_id);
CREATE INDEX refund_return ON refund (return_id);

-- A customer's objection. state: opened (we owe an answer), answered, upheld, rejected, withdrawn.
CREATE TABLE plan_complaint (
  id           INTEGER PRIMARY KEY,
  uid          BLOB NOT NULL UNIQUE,
  account_id   INTEGER NOT NULL REFERENCES account (id),
  about        TEXT NOT NULL,
  state        TEXT NOT NULL,
  level        INTEGER NOT NULL,
  due_at   INTEGER NOT NULL,
  row_version  INTEGER NOT NULL,
  opened_at    INTEGER NOT NULL,
  opened_by    INTEGER NOT NULL REFERENCES app_user (id),
  ended_at     INTEGER,
  ended_by     INTEGER REFERENCES app_user (id)
) STRICT;
CREATE INDEX plan_complaint_account ON plan_complaint (account_id);
CREATE INDEX plan_complaint_due ON plan_complaint (due_at) WHERE state = 'opened';

-- What was said about it, in whose words; none when they were erased.
CREATE TABLE plan_complaint_message (
  id            INTEGER PRIMARY KEY,
  uid           BLOB NOT NULL UNIQUE,
  complaint_id  INTEGER NOT NULL REFERENCES plan_complaint (id),
  at            INTEGER NOT NULL,
  by_user       INTEGER NOT NULL REFERENCES app_user (id),
  by_lender     INTEGER NOT NULL,
  words         TEXT
) STRICT;
CREATE INDEX plan_complaint_message_of ON plan_complaint_message (complaint_id);

-- All that was booked about one thing.
CREATE INDEX journal_correlation ON journal (correlation);
