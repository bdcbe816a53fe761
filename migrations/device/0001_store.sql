-- The phone's store. Columns marked (sealed) hold XChaCha20-Poly1305 under the host app's key, bound
-- to their table and row. Ids are 16-byte blobs, times are microseconds since 1970, counters that are
-- unsigned 64 bits on the wire are stored as the same bits.

-- One row: who this phone is, and where it stands with the server.
create table phone (
    id integer primary key check (id = 1),
    check_value blob not null,                      -- (sealed) a constant: proves the key
    generation integer not null,                    -- compared with the host's own at every opening
    device blob not null,
    seed blob not null,                             -- (sealed) the signing key's seed
    install blob not null,
    provisional_last integer not null default 0,    -- receipt numbers given without a block, this install
    number_last integer not null default 0,         -- the last envelope sealed, this install
    envelope_last blob not null,                    -- its id: the next one's `previous`
    acked_number integer not null default 0,        -- the last envelope the server holds, this install
    acked_envelope blob not null,                   -- its id; outlives the install
    request_number integer not null default 0,
    deployment blob,                                -- this and the next seven: null before enrolment
    user_id blob,
    user_name blob,                                 -- (sealed)
    server_key blob,
    certificate blob,
    zone text,
    currency text,
    epoch blob,
    lease blob,                                     -- (sealed)
    lease_exp integer,                              -- seconds since 1970
    login_required integer not null default 0,
    state integer not null default 0,               -- 0 ok, 1 revoked, 2 wipe
    after blob not null,                            -- the newest acknowledgement held
    trusted_at integer,                             -- the newest server time, and when it arrived
    trusted_boot_id blob,
    trusted_boot_ms integer,
    officer blob,                                   -- (sealed) cash in hand and allowance
    caseloads_hash integer not null default 0,
    news_seen integer not null default 0,           -- the newest later verdicts applied
    budget_bytes integer not null,
    whole_responses integer not null default 0,
    send_cursors integer not null default 0,
    send_have integer not null default 0,
    synced_at integer
) strict;

-- Entries: this device's own captures until they are purged, and what others captured.
create table entry (
    seq integer primary key,                        -- own ones: the order of capture
    id blob not null unique,
    dossier blob not null,
    own integer not null,
    bytes blob not null,                            -- (sealed) as the phone that captured it made them
    author blob,                                    -- (sealed) a colleague's name; null when own
    state integer not null,                         -- 0 pending, 1 sealed into an envelope, 2 answered
    envelope integer,                               -- its number, while sealed or answered in this install
    outcome blob,
    attention integer not null default 0,           -- own, and held or refused
    uncounted integer not null default 0            -- own cash that the server's figure does not hold yet
) strict;
create index entry_by_dossier on entry (dossier, seq);
create index entry_open on entry (seq) where state < 2;
create index entry_attention on entry (seq) where attention = 1;
create index entry_uncounted on entry (seq) where uncounted = 1;

-- Dossiers this phone holds.
create table dossier (
    id blob primary key,
    kind integer,                                   -- 0 case, 1 day, 2 agent; null while unknown
    version integer not null default 0,
    opened_here integer not null default 0          -- a day the phone opened itself: no membership needed
) strict, without rowid;

create table membership (
    dossier blob not null,
    caseload blob not null,
    epoch integer not null,
    primary key (dossier, caseload)
) strict, without rowid;

create table section (
    dossier blob not null,
    kind integer not null,
    bytes blob not null,                            -- (sealed)
    primary key (dossier, kind)
) strict;

-- Boards as the server admitted them.
create table board (
    dossier blob primary key,
    doc blob not null                               -- (sealed) a saved Automerge document
) strict;

-- How often this install had to begin again on a board; outlives a purge, because the server counts too.
create table board_actor (
    dossier blob primary key,
    n integer not null
) strict, without rowid;

-- This device's own board changes without a verdict.
create table board_change (
    seq integer primary key,
    dossier blob not null,
    n integer not null,
    hash blob not null,
    bytes blob not null,                            -- (sealed) the Automerge change
    edits blob,                                     -- (sealed) what the officer did; on the last change of an edit
    made_at integer not null,
    envelope integer                                -- null while pending
) strict;
create index board_change_by_dossier on board_change (dossier, seq);

-- Words of the officer's that the server did not merge.
create table draft (
    seq integer primary key,
    dossier blob not null,
    words blob not null,                            -- (sealed)
    reason text not null,
    at integer not null
) strict;

create table envelope (
    install blob not null,
    number integer not null,
    id blob not null,
    bytes blob not null,                            -- (sealed) as they are sent
    answered integer not null default 0,            -- every item has its verdict
    acked_at integer,                               -- when the server was known to hold it
    refused text,                                   -- the code, when the server would not read it
    primary key (install, number)
) strict;

-- Acknowledgements and when they arrived.
create table anchor (
    seq integer primary key,
    ack blob not null,
    server_at integer not null,
    wall integer not null,
    boot_id blob not null,
    boot_ms integer not null
) strict;

create table receipt_block (
    seq integer primary key,
    install blob not null,
    series text not null,
    first integer not null,
    last integer not null,
    next integer not null,
    closed integer not null default 0,
    signed blob not null,                           -- the server's grant
    unique (series, first)
) strict;

create table caseload (
    id blob primary key,
    name blob not null,                             -- (sealed)
    audience integer not null,
    place integer not null
) strict;

create table cursor (
    caseload blob primary key,
    cursor blob not null,
    confirmed blob                                  -- what the last answered request left the server with
) strict;

-- Dossiers purged and not yet reported.
create table purged (
    dossier blob primary key
) strict, without rowid;

-- Pages of a full membership list that has not ended yet.
create table relisted (
    caseload blob not null,
    dossier blob not null,
    epoch integer not null,
    primary key (caseload, dossier)
) strict, without rowid;
