-- Files that a customer adds to his complaint, whole: photos and papers. Personal: they go with the customer.
CREATE TABLE plan_complaint_file (
  id            INTEGER PRIMARY KEY,
  uid           BLOB NOT NULL UNIQUE,
  complaint_id  INTEGER NOT NULL REFERENCES plan_complaint (id),
  media_type    TEXT NOT NULL,
  sha256        BLOB NOT NULL,
  content       BLOB NOT NULL,
  at            INTEGER NOT NULL,
  by_user       INTEGER NOT NULL REFERENCES app_user (id)
) STRICT;
CREATE INDEX plan_complaint_file_of ON plan_complaint_file (complaint_id);
