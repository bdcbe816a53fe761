-- The records without money: a table a type, which derive from the log. entry_uid names the entry,
-- dossier_id the dossier it is in, captured_at is corrected. Notes are not here: they stay in the entry.

-- What nobody may read but its author and those who review, whoever holds the dossier.
ALTER TABLE entry ADD COLUMN confidential BOOLEAN NOT NULL DEFAULT FALSE;

-- An agent's file that a phone had opened said nothing of who the agent is.
UPDATE dossier SET profile_version = version WHERE kind = 'agent' AND profile_version = 0;

-- Attempts to reach a customer without going there. duration_s: seconds spoken.
CREATE TABLE call_attempt (
  entry_uid    UUID NOT NULL PRIMARY KEY,
  dossier_id   BIGINT NOT NULL REFERENCES dossier (id),
  user_id      BIGINT NOT NULL REFERENCES app_user (id),
  captured_at  TIMESTAMPTZ NOT NULL,
  channel      TEXT NOT NULL,
  number_ref   TEXT NOT NULL,
  dialled_at   TIMESTAMPTZ NOT NULL,
  duration_s   BIGINT NOT NULL,
  disposition  TEXT NOT NULL,
  script       TEXT,
  recording    TEXT
);
CREATE INDEX call_attempt_dossier ON call_attempt (dossier_id);

-- Proposals about where a customer can be reached; lat and lon of a new position only.
CREATE TABLE contact_update (
  entry_uid         UUID NOT NULL PRIMARY KEY,
  dossier_id        BIGINT NOT NULL REFERENCES dossier (id),
  user_id           BIGINT NOT NULL REFERENCES app_user (id),
  captured_at       TIMESTAMPTZ NOT NULL,
  field             TEXT NOT NULL,
  change            TEXT NOT NULL,
  old_seen          TEXT,
  new_value         TEXT,
  source            TEXT NOT NULL,
  consent           BOOLEAN NOT NULL,
  confirmed_by_otp  BOOLEAN NOT NULL,
  lat_e6            BIGINT,
  lon_e6            BIGINT
);
CREATE INDEX contact_update_dossier ON contact_update (dossier_id);

-- Objections of customers. A confidential one is in its author's day and names the account all the same.
CREATE TABLE complaint (
  entry_uid     UUID NOT NULL PRIMARY KEY,
  dossier_id    BIGINT NOT NULL REFERENCES dossier (id),
  user_id       BIGINT NOT NULL REFERENCES app_user (id),
  captured_at   TIMESTAMPTZ NOT NULL,
  account_uid   UUID NOT NULL,
  kind          TEXT NOT NULL,
  text          TEXT NOT NULL,
  amount_minor  BIGINT,
  currency      TEXT,
  desired       TEXT
);
CREATE INDEX complaint_dossier ON complaint (dossier_id);
CREATE INDEX complaint_account ON complaint (account_uid, captured_at);

-- Requests to give a case to another level. reasons: codes with a space between.
CREATE TABLE case_handover (
  entry_uid        UUID NOT NULL PRIMARY KEY,
  dossier_id       BIGINT NOT NULL REFERENCES dossier (id),
  user_id          BIGINT NOT NULL REFERENCES app_user (id),
  captured_at      TIMESTAMPTZ NOT NULL,
  from_level       TEXT NOT NULL,
  to_level         TEXT NOT NULL,
  reasons          TEXT NOT NULL,
  summary          TEXT NOT NULL,
  calls            BIGINT,
  visits           BIGINT,
  reached          BIGINT,
  broken_promises  BIGINT
);
CREATE INDEX case_handover_dossier ON case_handover (dossier_id);

-- What became of the stops of day plans. stop_uid and visit_uid are links that nothing holds to.
CREATE TABLE stop_event (
  entry_uid    UUID NOT NULL PRIMARY KEY,
  dossier_id   BIGINT NOT NULL REFERENCES dossier (id),
  user_id      BIGINT NOT NULL REFERENCES app_user (id),
  captured_at  TIMESTAMPTZ NOT NULL,
  stop_uid     UUID NOT NULL,
  kind         TEXT NOT NULL,
  reason       TEXT,
  visit_uid    UUID,
  account_uid  UUID
);
CREATE INDEX stop_event_dossier ON stop_event (dossier_id);

-- What phones say about themselves.
CREATE TABLE device_event (
  entry_uid      UUID NOT NULL PRIMARY KEY,
  dossier_id     BIGINT NOT NULL REFERENCES dossier (id),
  user_id        BIGINT NOT NULL REFERENCES app_user (id),
  captured_at    TIMESTAMPTZ NOT NULL,
  device_id      BIGINT NOT NULL REFERENCES device (id),
  kind           TEXT NOT NULL,
  happened_at    TIMESTAMPTZ NOT NULL,
  clock_ms       BIGINT,
  receipt_first  TEXT,
  receipt_last   TEXT
);
CREATE INDEX device_event_dossier ON device_event (dossier_id);

-- Contacts with agents. iso_year and iso_week: of the corrected capture time, in the lender's zone. checklist:
-- question=answer, a space between.
CREATE TABLE weekly_contact (
  entry_uid    UUID NOT NULL PRIMARY KEY,
  dossier_id   BIGINT NOT NULL REFERENCES dossier (id),
  user_id      BIGINT NOT NULL REFERENCES app_user (id),
  captured_at  TIMESTAMPTZ NOT NULL,
  agent_uid    UUID NOT NULL,
  iso_year     BIGINT NOT NULL,
  iso_week     BIGINT NOT NULL,
  mode         TEXT NOT NULL,
  met          TEXT NOT NULL,
  checklist    TEXT,
  lat_e6       BIGINT,
  lon_e6       BIGINT
);
CREATE INDEX weekly_contact_dossier ON weekly_contact (dossier_id);
CREATE INDEX weekly_contact_agent ON weekly_contact (agent_uid, iso_year, iso_week);

-- What agents have at hand, in minor units.
CREATE TABLE float_check (
  entry_uid          UUID NOT NULL PRIMARY KEY,
  dossier_id         BIGINT NOT NULL REFERENCES dossier (id),
  user_id            BIGINT NOT NULL REFERENCES app_user (id),
  captured_at        TIMESTAMPTZ NOT NULL,
  agent_uid          UUID NOT NULL,
  currency           TEXT NOT NULL,
  e_money_minor      BIGINT NOT NULL,
  cash_minor         BIGINT NOT NULL,
  bank_minor         BIGINT,
  counted_at         TIMESTAMPTZ NOT NULL,
  e_money_source     TEXT NOT NULL,
  rebalancing        TEXT,
  rebalancing_minor  BIGINT
);
CREATE INDEX float_check_dossier ON float_check (dossier_id);
CREATE INDEX float_check_agent ON float_check (agent_uid, captured_at);

-- Issues of agents. severity: 1 to 4. txn_refs: how many transactions it names.
CREATE TABLE issue_report (
  entry_uid      UUID NOT NULL PRIMARY KEY,
  dossier_id     BIGINT NOT NULL REFERENCES dossier (id),
  user_id        BIGINT NOT NULL REFERENCES app_user (id),
  captured_at    TIMESTAMPTZ NOT NULL,
  agent_uid      UUID NOT NULL,
  category       TEXT NOT NULL,
  severity       BIGINT NOT NULL,
  text           TEXT NOT NULL,
  txn_refs       BIGINT NOT NULL,
  first_seen_at  TIMESTAMPTZ NOT NULL
);
CREATE INDEX issue_report_dossier ON issue_report (dossier_id);
CREATE INDEX issue_report_agent ON issue_report (agent_uid);

-- What happened to issues, in the order of capture.
CREATE TABLE issue_event (
  entry_uid    UUID NOT NULL PRIMARY KEY,
  dossier_id   BIGINT NOT NULL REFERENCES dossier (id),
  user_id      BIGINT NOT NULL REFERENCES app_user (id),
  captured_at  TIMESTAMPTZ NOT NULL,
  agent_uid    UUID NOT NULL,
  issue_uid    UUID NOT NULL,
  kind         TEXT NOT NULL,
  text         TEXT,
  assignee     TEXT
);
CREATE INDEX issue_event_dossier ON issue_event (dossier_id);
CREATE INDEX issue_event_issue ON issue_event (issue_uid, captured_at);

-- Trainings at agents'. score: percent.
CREATE TABLE training (
  entry_uid    UUID NOT NULL PRIMARY KEY,
  dossier_id   BIGINT NOT NULL REFERENCES dossier (id),
  user_id      BIGINT NOT NULL REFERENCES app_user (id),
  captured_at  TIMESTAMPTZ NOT NULL,
  agent_uid    UUID NOT NULL,
  module       TEXT NOT NULL,
  trainer      TEXT NOT NULL,
  attendee     TEXT NOT NULL,
  held_on      DATE NOT NULL,
  score        BIGINT,
  passed       BOOLEAN NOT NULL,
  valid_to     DATE
);
CREATE INDEX training_dossier ON training (dossier_id);
CREATE INDEX training_agent ON training (agent_uid);

-- Who wants to become an agent. The identity number is masked on the phone; photos: how many belong to it.
CREATE TABLE agent_registration (
  entry_uid         UUID NOT NULL PRIMARY KEY,
  dossier_id        BIGINT NOT NULL REFERENCES dossier (id),
  user_id           BIGINT NOT NULL REFERENCES app_user (id),
  captured_at       TIMESTAMPTZ NOT NULL,
  phone             TEXT NOT NULL,
  name              TEXT NOT NULL,
  id_kind           TEXT NOT NULL,
  id_number_masked  TEXT NOT NULL,
  outlet            TEXT NOT NULL,
  lat_e6            BIGINT,
  lon_e6            BIGINT,
  photos            BIGINT NOT NULL
);
CREATE INDEX agent_registration_dossier ON agent_registration (dossier_id);
