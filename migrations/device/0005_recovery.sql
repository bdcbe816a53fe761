-- When the server is the one that was lost (its database begins another epoch). Acknowledgements are kept
-- as they were signed: a server that was set back learns them again.
alter table anchor add column epoch blob;
alter table anchor add column signed blob;
-- What the server has to learn again travels with the next request; what was read under another epoch is
-- not confirmed yet; the server asked for the newest acknowledgement.
alter table phone add column relearn integer not null default 0;
alter table phone add column rewound integer not null default 0;
alter table phone add column show_acknowledgement integer not null default 0;
-- Marks on what was heard under another epoch and not again since.
alter table entry add column unconfirmed integer not null default 0;
alter table membership add column stale integer not null default 0;
alter table section add column stale integer not null default 0;
alter table board add column stale integer not null default 0;
create index entry_unconfirmed on entry (seq) where unconfirmed = 1;
create index membership_stale on membership (dossier) where stale = 1;
-- An envelope that was answered under another epoch, to be handed in again.
alter table envelope add column again integer not null default 0;
create index envelope_again on envelope (install, number) where again = 1;
-- An own change that the restored server put aside: made again once its board is here.
alter table board_change add column again integer not null default 0;
