-- Files that entries name and that travel apart. A row an attachment of an entry, from its bytes; arrived_at:
-- when the entry's own device had handed in the file, whoever else had it before.
CREATE TABLE entry_attachment (
  entry_uid   BLOB NOT NULL,
  position    INTEGER NOT NULL,
  device_id   INTEGER NOT NULL REFERENCES device (id),
  sha256      BLOB NOT NULL,
  size_bytes  INTEGER NOT NULL,
  mime        TEXT NOT NULL,
  kind        TEXT NOT NULL,
  arrived_at  INTEGER,
  PRIMARY KEY (entry_uid, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_attachment_file ON entry_attachment (sha256, size_bytes);
CREATE INDEX entry_attachment_missing ON entry_attachment (entry_uid) WHERE arrived_at IS NULL;

-- What a device hands in of a file, piece after piece. complete_at: all of it came and has this hash.
CREATE TABLE attachment_upload (
  id              INTEGER PRIMARY KEY,
  device_id       INTEGER NOT NULL REFERENCES device (id),
  sha256          BLOB NOT NULL,
  size_bytes      INTEGER NOT NULL,
  received_bytes  INTEGER NOT NULL,
  begun_at        INTEGER NOT NULL,
  touched_at      INTEGER NOT NULL,
  complete_at     INTEGER,
  UNIQUE (device_id, sha256, size_bytes)
) STRICT;
CREATE INDEX attachment_upload_partial ON attachment_upload (touched_at) WHERE complete_at IS NULL;

-- The pieces, at most 256 KiB each.
CREATE TABLE attachment_chunk (
  upload_id   INTEGER NOT NULL REFERENCES attachment_upload (id) ON DELETE CASCADE,
  first_byte  INTEGER NOT NULL,
  bytes       BLOB NOT NULL,
  PRIMARY KEY (upload_id, first_byte)
) STRICT;

-- A whole file, once, however many hand it in: in the pieces of the first upload that was complete.
CREATE TABLE attachment (
  sha256      BLOB NOT NULL PRIMARY KEY,
  size_bytes  INTEGER NOT NULL,
  upload_id   INTEGER NOT NULL UNIQUE REFERENCES attachment_upload (id),
  stored_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Bytes of files that a device handed in on a day of the lender's.
CREATE TABLE attachment_day (
  device_id  INTEGER NOT NULL REFERENCES device (id),
  on_date    TEXT NOT NULL,
  bytes      INTEGER NOT NULL,
  PRIMARY KEY (device_id, on_date)
) STRICT, WITHOUT ROWID;
