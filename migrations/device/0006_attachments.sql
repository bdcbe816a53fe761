-- Files that own entries name, until the server has had them for a while.
create table attachment (
    entry blob not null,
    sha256 blob not null,
    size integer not null,
    sent integer not null default 0,                -- bytes the server said it holds
    state integer not null default 0,               -- 0 to be sent, 1 the server has it, 2 it will not take it
    tries integer not null default 0,               -- times the server would not go on with it
    refused text,                                   -- the code, when it will not take it
    done_at integer,                                -- when it was acknowledged
    primary key (entry, sha256)
) strict;
create index attachment_open on attachment (entry) where state = 0;

-- Their bytes in pieces of 64 KiB, once for each file.
create table attachment_piece (
    sha256 blob not null,
    place integer not null,
    bytes blob not null,                            -- (sealed)
    primary key (sha256, place)
) strict;
