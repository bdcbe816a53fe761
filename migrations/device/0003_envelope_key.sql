-- The server's X25519 key, to seal what somebody else is to carry to it. Phones that were enrolled by a
-- server which did not hand it out have none.
alter table phone add column envelope_key blob;
