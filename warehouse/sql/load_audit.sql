-- What loads did, what they read, which checks were overridden, and the rows that they rejected.
alter schema governance owner to wh_owner;
grant usage on schema governance to svc_loader, svc_dbt, svc_match;
alter schema quarantine owner to wh_owner;
grant usage on schema quarantine to svc_loader, svc_dbt;

comment on table governance.load_audit is
'Result of each load for each raw table. rows_read = rows accepted + rows_quarantined + rows_skipped (by a rule of the '
'contract: subtotals, footers, rows below the table, rows that were appended before); rows_written counts new and '
'changed rows; rows_total counts the rows of the source that the table holds. One row per load and raw table.';
alter table governance.load_audit owner to wh_owner;
grant select, insert on governance.load_audit to svc_loader;
grant select on governance.load_audit to svc_dbt;

create or replace function governance.extract_date(loaded_system text) returns date
language sql stable set search_path = '' as $$
    select (max(latest.high_watermark::timestamptz) at time zone 'Europe/London')::date
    from (
        select distinct on (audit.table_name) audit.high_watermark
        from governance.load_audit as audit
        where audit.system = loaded_system and audit.high_watermark <> ''
        order by audit.table_name, audit.loaded_at desc
    ) as latest
$$;
comment on function governance.extract_date is
'Date on which the latest file of a system that sends files was written: the date up to which its data go. No date within '
'the rows moves it. Null before the first load.';

select pg_temp.own_functions(array['extract_date(text)'], '{svc_dbt}');

comment on table governance.loaded_files is
'Files whose rows a raw table holds, identified by their content. One row per raw table and file content.';
alter table governance.loaded_files owner to wh_owner;
grant select, insert, update, delete on governance.loaded_files to svc_loader;
grant select on governance.loaded_files to svc_dbt;

comment on table governance.overrides is
'Overrides of a load check, each for one load, with the reason. One row per override.';
alter table governance.overrides owner to wh_owner;
grant select, update on governance.overrides to svc_loader;
grant select, insert on governance.overrides to svc_dbt;

comment on table quarantine.rows is
'Rows that broke their source contract: the rule, the place in the source, and the row as read. A row is open until it '
'loads or the source no longer has it. One row per rejected row and load.';
alter table quarantine.rows owner to wh_owner;
grant select, insert, update, delete on quarantine.rows to svc_loader;
grant select (row_id, system, table_name, rule, column_name, key, file_name, row_number, load_id, quarantined_at,
    resolved_at, resolution) on quarantine.rows to svc_dbt;
