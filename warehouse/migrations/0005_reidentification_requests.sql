-- A request is recorded in one transaction and answered in a later one (warehouse/sql/reidentification.sql).
alter table governance.reidentifications add column requested_in xid8;
drop function if exists governance.reidentify(text, text, text);
