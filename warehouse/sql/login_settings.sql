-- Applies the limits and settings of each login, where the administrator may set them, and records the rights of services.
do $$
declare
    found record;
begin
    for found in
        select l.login, l.connections from governance.login_limits as l inner join pg_roles as r on l.login = r.rolname
        where r.rolconnlimit <> l.connections
    loop
        execute format('alter role %I connection limit %s', found.login, found.connections);
    end loop;
    if current_setting('warehouse.apply_access', true) = 'yes' then
        for found in select l.login from governance.login_limits as l loop
            execute format('alter role %I reset all', found.login);
            execute format('alter role %I in database %I reset all', found.login, current_database());
        end loop;
    end if;
    for found in
        select s.login, s.name, s.value
        from governance.login_settings() as s
        inner join pg_roles as r on s.login = r.rolname
        left join pg_settings as p on s.name = p.name
        where (p.context = 'user' or has_parameter_privilege(s.name, 'set'))
            and format('%s=%s', s.name, s.value) <> all(coalesce(r.rolconfig, '{}'))
    loop
        execute format('alter role %I set %s = %L', found.login, found.name, found.value);
    end loop;
    for found in
        select l.login from governance.login_limits as l cross join pg_roles as r
        where l.login ~ '^svc_' and r.rolname = 'pg_use_reserved_connections' -- PostgreSQL 16 or later
            and pg_has_role(r.oid, 'usage with admin option')
            and not pg_has_role(l.login, r.oid, 'usage')
    loop
        execute format('grant pg_use_reserved_connections to %I', found.login);
    end loop;
end $$;

delete from governance.service_rights;
insert into governance.service_rights (object, login, privilege)
select r.object, r.login, r.privilege from governance.current_service_rights() as r
where r.schema_name in ('governance', 'vault', 'matching', 'quarantine', 'as_at', 'seeds', 'staging', 'conformed')
    or (r.schema_name ~ '^raw_' and r.object ~ '^schema ');
