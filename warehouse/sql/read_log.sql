-- Log settings of the logins of access.yml: pgaudit logs the tables that are read; without pgaudit the server logs the
-- statements. Bound values and the statements of other logins are not logged. See docs/how-to/audit-reads.md.
create or replace function governance.log_settings() returns table (login text, name text, value text)
language sql stable set search_path = pg_catalog, pg_temp as $$
    with server as (
        select exists (select from pg_settings where name = 'pgaudit.log') as has_pgaudit
    )
    select r.login, s.name, s.value
    from (
        select login, has_pgaudit as by_pgaudit from governance.readers cross join server
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
    cross join server
    where server.has_pgaudit or s.name not like 'pgaudit.%'
$$;
