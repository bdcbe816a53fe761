-- What is to be earned is read in the order of day and account, each lot from where the one before ended.
DROP INDEX instalment_unearned;
CREATE INDEX instalment_unearned ON instalment (due_date, account_id) WHERE earned_interest < interest;
