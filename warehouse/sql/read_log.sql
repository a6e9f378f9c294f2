-- Log settings of the logins of access.yml, where the administrator may set them: pgaudit logs the tables that are read; without
-- pgaudit the server logs the statements. Bound values and the statements of other logins are not logged. See
-- docs/how-to/audit-reads.md.
do $$
declare
    has_pgaudit constant boolean := exists (select from pg_settings where name = 'pgaudit.log');
    found record;
begin
    for found in
        select r.login, s.name, s.value
        from (
            select login, has_pgaudit as by_pgaudit from governance.readers
            union select login, false from governance.reidentifiers -- reads no table, calls functions
        ) as r
        cross join lateral (
            values
            ('log_statement', case when r.by_pgaudit then 'none' else 'all' end),
            ('log_parameter_max_length', '0'),
            ('log_min_messages', 'error'), -- a refused statement reads nothing
            ('log_min_error_statement', 'panic'),
            ('pgaudit.log', 'read'),
            ('pgaudit.log_relation', 'on'),
            ('pgaudit.log_catalog', 'off'),
            ('pgaudit.log_statement', 'off')
        ) as s (name, value)
        where (has_pgaudit or s.name not like 'pgaudit.%') and has_parameter_privilege(s.name, 'set')
    loop
        execute format('alter role %I set %s = %L', found.login, found.name, found.value);
    end loop;
end $$;
