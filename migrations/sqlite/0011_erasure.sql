-- Retention and erasure. What is erased leaves its row, its id and what became of it; bytes and words go.

-- bytes are empty once erased_at is set. digest: the SHA-256 of what they were, so that the same entry handed
-- in again is known. erased_version: the dossier's version that says so to phones; none where they are told
-- that the whole dossier is gone.
ALTER TABLE entry ADD COLUMN erased_at INTEGER;
ALTER TABLE entry ADD COLUMN digest BLOB;
ALTER TABLE entry ADD COLUMN erased_version INTEGER;
CREATE INDEX entry_erased ON entry (dossier_id, erased_version) WHERE erased_version IS NOT NULL;
CREATE INDEX entry_refused ON entry (id) WHERE outcome = 'refused';

-- Envelopes are kept as they came until erased_at; their numbers and ids stay.
ALTER TABLE envelope ADD COLUMN erased_at INTEGER;
CREATE INDEX envelope_kept ON envelope (received_at) WHERE erased_at IS NULL;

ALTER TABLE customer ADD COLUMN erased_at INTEGER;

-- Of an erased case. erased_upto: its version when all in it was erased; what comes later is erased later.
ALTER TABLE dossier ADD COLUMN erased_at INTEGER;
ALTER TABLE dossier ADD COLUMN erased_upto INTEGER;
CREATE INDEX dossier_erased ON dossier (id) WHERE erased_at IS NOT NULL;

-- Day dossiers name the accounts of stops.
CREATE INDEX stop_event_account ON stop_event (account_uid) WHERE account_uid IS NOT NULL;

-- Orders to erase a customer. ground: request (proposed by a person, decided by another), retention (by the
-- lender's settings). state: proposed, rejected, approved, erasing (nothing new is kept), done.
CREATE TABLE erasure (
  id           INTEGER PRIMARY KEY,
  uid          BLOB NOT NULL UNIQUE,
  customer_id  INTEGER NOT NULL REFERENCES customer (id),
  ground       TEXT NOT NULL,
  state        TEXT NOT NULL,
  proposed_by  INTEGER REFERENCES app_user (id),
  proposed_at  INTEGER NOT NULL,
  decided_by   INTEGER REFERENCES app_user (id),
  decided_at   INTEGER,
  done_at      INTEGER
) STRICT;
CREATE UNIQUE INDEX erasure_customer ON erasure (customer_id) WHERE state <> 'rejected';
CREATE INDEX erasure_due ON erasure (state, id) WHERE done_at IS NULL;

-- Who paid is forgotten by the account that a statement names.
CREATE INDEX statement_line_payer ON statement_line (account_number) WHERE payer IS NOT NULL;
