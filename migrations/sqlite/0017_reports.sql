-- What people read who run the journey.

-- Checkouts by their day, and orders by theirs.
CREATE INDEX shop_order_event_kind ON shop_order_event (kind, at);

-- Offers put forward for a time. offers: ids with a space between. baseline: the days it is compared with.
-- target_bp: the share of checkouts that should choose, in hundredths of a percent.
CREATE TABLE campaign (
  id             INTEGER PRIMARY KEY,
  uid            BLOB NOT NULL UNIQUE,
  name           TEXT NOT NULL,
  offers         TEXT NOT NULL,
  starts_on      TEXT NOT NULL,
  ends_on        TEXT NOT NULL,
  baseline_from  TEXT NOT NULL,
  baseline_to    TEXT NOT NULL,
  target_bp      INTEGER,
  row_version    INTEGER NOT NULL,
  created_at     INTEGER NOT NULL,
  created_by     INTEGER NOT NULL REFERENCES app_user (id)
) STRICT;

-- Figures of a week or a month as they stood: content (JSON) and its hash never change.
CREATE TABLE report (
  id          INTEGER PRIMARY KEY,
  uid         BLOB NOT NULL UNIQUE,
  kind        TEXT NOT NULL,
  starts_on   TEXT NOT NULL,
  content     TEXT NOT NULL,
  hash        BLOB NOT NULL,
  created_at  INTEGER NOT NULL,
  created_by  INTEGER NOT NULL REFERENCES app_user (id)
) STRICT;
