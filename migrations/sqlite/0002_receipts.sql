-- Receipt numbers nobody has seen, explained by a person: each once, by which decision. What he said is
-- the decision's.
CREATE TABLE receipt_explanation (
  receipt_no    TEXT NOT NULL PRIMARY KEY,
  decision_uid  BLOB NOT NULL REFERENCES decision (uid)
) STRICT, WITHOUT ROWID;

-- Numbers on what was recorded and did not post: few beside the others, which have their claims.
CREATE INDEX payment_receipt ON payment (receipt_no) WHERE state <> 'posted';
