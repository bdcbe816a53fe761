-- Customers who sign in. A customer's login is a row of app_user without a password or a role: what he may
-- do follows from whose it is. unit_id: the branch or shop that serves him, none when he came by himself.
-- row_version: of his profile, for ETag.
ALTER TABLE app_user ADD COLUMN customer_id BIGINT REFERENCES customer (id);
CREATE UNIQUE INDEX app_user_customer ON app_user (customer_id) WHERE customer_id IS NOT NULL;

ALTER TABLE customer ADD COLUMN unit_id BIGINT REFERENCES unit (id);
ALTER TABLE customer ADD COLUMN birth_date DATE;
ALTER TABLE customer ADD COLUMN row_version BIGINT NOT NULL DEFAULT 1;
