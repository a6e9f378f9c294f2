-- Rows that a rule of the contract skips, so that every row read is accounted for.
alter table governance.load_audit add column rows_skipped bigint not null default 0;
