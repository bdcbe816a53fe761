-- What imports took over from elsewhere, by kind (account, customer) and the lender's own number: so that
-- the same again is passed over and another content is a conflict. content: a hash of what the file said.
CREATE TABLE imported (
  kind         TEXT NOT NULL,
  number       TEXT NOT NULL,
  content      BLOB NOT NULL,
  imported_at  INTEGER NOT NULL,
  by_user      INTEGER REFERENCES app_user (id),
  PRIMARY KEY (kind, number)
) STRICT, WITHOUT ROWID;

-- Money that others say came in: lines of providers' statements, and payments recorded elsewhere. Each has
-- one effect, ever. external_ref is in capitals, without spaces. account_number: what the line says it is for. payment_uid:
-- the payment that is this money; none when another amount was posted under the reference (reason says so).
-- entry_uid: the capture it confirms. till_user: the cashier who took cash.
CREATE TABLE statement_line (
  id              INTEGER PRIMARY KEY,
  channel         TEXT NOT NULL,
  external_ref    TEXT NOT NULL,
  source          TEXT NOT NULL,
  content         BLOB NOT NULL,
  amount_minor    INTEGER NOT NULL,
  currency        TEXT NOT NULL,
  value_date      TEXT NOT NULL,
  at              INTEGER,
  payer           TEXT,
  account_number  TEXT,
  till_user       INTEGER REFERENCES app_user (id),
  payment_uid     BLOB UNIQUE,
  entry_uid       BLOB UNIQUE,
  reason          TEXT,
  imported_at     INTEGER NOT NULL,
  by_user         INTEGER REFERENCES app_user (id),
  UNIQUE (channel, external_ref)
) STRICT;
-- Few lines have no place yet, beside all those that have.
CREATE INDEX statement_line_reason ON statement_line (id) WHERE reason IS NOT NULL;

-- Captures by the provider's reference, for the line that confirms them: in capitals and without spaces,
-- however it was typed.
UPDATE payment SET external_ref = upper(replace(external_ref, ' ', '')) WHERE external_ref IS NOT NULL;
CREATE INDEX payment_reference ON payment (external_ref) WHERE external_ref IS NOT NULL;
