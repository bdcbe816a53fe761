-- Customers who sign in. A customer's login is a row of app_user without a password or a role: what he may
-- do follows from whose it is. unit_id: the branch or shop that serves him, none when he came by himself.
-- row_version: of his profile, for ETag.
ALTER TABLE app_user ADD COLUMN customer_id INTEGER REFERENCES customer (id);
CREATE UNIQUE INDEX app_user_customer ON app_user (customer_id) WHERE customer_id IS NOT NULL;

ALTER TABLE customer ADD COLUMN unit_id INTEGER REFERENCES unit (id);
ALTER TABLE customer ADD COLUMN birth_date TEXT;
ALTER TABLE customer ADD COLUMN row_version INTEGER NOT NULL DEFAULT 1;
