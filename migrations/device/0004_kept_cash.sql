-- Cash the officer holds outlives the dossier it was captured in: what a hand-over needs of it, and
-- nothing about who paid. Filled when the entries leave the phone.
create table kept_cash (
    id blob primary key,                            -- the entry's
    minor integer not null,
    currency text not null,
    outcome blob not null
) strict, without rowid;

-- What own hand-overs named that have left the phone.
create table kept_handover (
    id blob not null,                               -- the entry's
    repayment blob not null,
    outcome blob not null,
    primary key (id, repayment)
) strict, without rowid;
