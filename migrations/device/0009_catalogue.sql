-- Offers to quote from, as the server lists them. The list that is used is whole; another one may be coming
-- beside it, and takes its place once it is.
create table catalogue (
    hash integer primary key,                       -- names the list
    count integer not null,                         -- how many offers it has
    left_out integer not null,                      -- how many more are in force
    offline_days integer not null,
    quote_hours integer not null,
    whole integer not null default 0
) strict;

create table offer (
    catalogue integer not null,
    place integer not null,
    bytes blob not null,                            -- (sealed) the offer as it travelled
    primary key (catalogue, place)
) strict;
