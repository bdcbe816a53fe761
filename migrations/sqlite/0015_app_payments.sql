-- Payments that customers begin in the app. Each is a row of payment (source app) and one here, which are there
-- before a gateway is asked. purpose: instalment, down_payment, settlement. stage: created (no call was begun), starting
-- (a call was begun, and what came of it is not known), sent, failed, expired, paid. content: a hash of what was asked
-- for. failure: why it failed. same_as: the payment that is this money, where another has the effect (state matched).
-- next_at: when the gateway is asked again; none when there is nothing left to ask. tries: how often in a row it was
-- asked without an end. phone, return_url, redirect_url: personal, and go with the customer.
CREATE TABLE app_payment (
  payment_uid   BLOB NOT NULL PRIMARY KEY,
  account_id    INTEGER NOT NULL REFERENCES account (id),
  purpose       TEXT NOT NULL,
  gateway       TEXT NOT NULL,
  stage         TEXT NOT NULL,
  content       BLOB NOT NULL,
  phone         TEXT,
  return_url    TEXT,
  redirect_url  TEXT,
  failure       TEXT,
  same_as       BLOB,
  begun_by      INTEGER NOT NULL REFERENCES app_user (id),
  begun_at      INTEGER NOT NULL,
  expires_at    INTEGER NOT NULL,
  settled_at    INTEGER,
  next_at       INTEGER,
  tries         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX app_payment_account ON app_payment (account_id);
CREATE INDEX app_payment_due ON app_payment (next_at) WHERE next_at IS NOT NULL;

-- What gateways said by themselves: a hint that a payment is to be looked at, never the truth about it. event: its
-- own id, or the hash of its body; the body is not kept. handled_at: when the payment was told to be looked at; of
-- one that is unknown, none.
CREATE TABLE gateway_callback (
  id           INTEGER PRIMARY KEY,
  gateway      TEXT NOT NULL,
  event        TEXT NOT NULL,
  reference    TEXT NOT NULL,
  trust        TEXT NOT NULL,
  received_at  INTEGER NOT NULL,
  handled_at   INTEGER,
  UNIQUE (gateway, event)
) STRICT;
CREATE INDEX gateway_callback_unhandled ON gateway_callback (received_at) WHERE handled_at IS NULL;
CREATE INDEX gateway_callback_reference ON gateway_callback (reference);

-- Where a promise was made: field (a phone's entry) or app (by the customer himself; it has no entry).
ALTER TABLE promise ADD COLUMN source TEXT NOT NULL DEFAULT 'field';
