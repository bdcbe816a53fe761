-- How much of what waits goes into one request: halved when requests fail on their way, doubled when
-- they get through, like the budget for responses beside it. A phone begins with the most there is, and
-- only a link that breaks makes it smaller.
alter table phone add column upload_bytes integer not null default 2097152;
alter table phone add column whole_uploads integer not null default 0;
