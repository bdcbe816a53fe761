-- When this store erased itself by the server's order. Until the server has what it still had to hand in, the
-- row is that of the lost device; then it is a new device's, which nobody has enrolled yet.
alter table phone add column wiped_at integer;
