-- Dossiers the server ordered to be erased, until nothing unanswered of them is left here and all of them,
-- kept envelopes included, has gone.
create table erasing (
    dossier blob primary key
) strict, without rowid;
