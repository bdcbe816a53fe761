-- Histories of this database: a row for each epoch that began because the one before was lost in part.
-- cause: restore, rollback (a phone showed what this server had signed and did not have any more).
-- Payouts and exports stop until a person has confirmed every row. series_from: what is added to a
-- device's key for the series of its receipt numbers, so that no lost device's series comes again.
CREATE TABLE recovery (
  id            INTEGER PRIMARY KEY,
  epoch         BLOB NOT NULL UNIQUE,
  epoch_before  BLOB NOT NULL,
  cause         TEXT NOT NULL,
  at            INTEGER NOT NULL,
  backup_at     INTEGER,
  device_id     INTEGER REFERENCES device (id),
  series_from   INTEGER NOT NULL,
  confirmed_at  INTEGER,
  confirmed_by  INTEGER REFERENCES app_user (id)
) STRICT;

-- Devices that have said what they hold, once in each epoch.
CREATE TABLE rewound_device (
  device_id  INTEGER NOT NULL REFERENCES device (id),
  epoch      BLOB NOT NULL,
  at         INTEGER NOT NULL,
  PRIMARY KEY (device_id, epoch)
) STRICT, WITHOUT ROWID;

-- Dossiers that a user's phone held when it rewound: it may have been given them after the backup. What
-- was captured before that counts as of a dossier that was his once.
CREATE TABLE rewound_holding (
  user_id      INTEGER NOT NULL REFERENCES app_user (id),
  dossier_uid  BLOB NOT NULL,
  at           INTEGER NOT NULL,
  PRIMARY KEY (dossier_uid, user_id)
) STRICT, WITHOUT ROWID;
