-- Logins: their limits and settings, the administrators, the rights of services; and where the database differs.
comment on table governance.login_limits is
'Limits of each login of access.yml and of each service: connections at a time, and settings. One row per login.';
alter table governance.login_limits owner to wh_owner;
grant select on governance.login_limits to svc_dbt;
delete from governance.login_limits;
insert into governance.login_limits
select l.*
from pg_temp.as_rows('warehouse.login_limits') as given
cross join jsonb_populate_record(null::governance.login_limits, given) as l;

comment on table governance.administrators is
'Logins that access.yml allows to be superusers or to create roles. One row per login.';
alter table governance.administrators owner to wh_owner;
grant select on governance.administrators to svc_dbt;
delete from governance.administrators;
insert into governance.administrators (login) select unnest(pg_temp.as_list('warehouse.administrators'));

comment on table governance.service_rights is
'Rights that the last setup gave to services. One row per object, login and privilege.';
alter table governance.service_rights owner to wh_owner;
grant select on governance.service_rights to svc_dbt;

-- Returns the setting of each login, as `alter role ... set` takes it. The sessions and locks of a service end within a
-- minute after its machine has stopped or is cut off; by the settings of most systems they last for two hours.
create or replace function governance.login_settings() returns table (login text, name text, value text)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select l.login, s.key, s.value
    from governance.login_limits as l cross join jsonb_each_text(to_jsonb(l) - 'login' - 'connections') as s
    union all
    select s.login, s.name, s.value from governance.log_settings() as s
    union all
    select l.login, s.name, s.value
    from governance.login_limits as l cross join (
        values ('tcp_keepalives_idle', '30'), ('tcp_keepalives_interval', '10'), ('tcp_keepalives_count', '3'),
        ('tcp_user_timeout', '60s')
    ) as s (name, value)
    where l.login ~ '^svc_'
$$;

-- Returns the members of each role. Sizes and row counts of all tables (sizes.sql) are for services and for logins without
-- a row scope.
create or replace function governance.memberships() returns table (role_name text, login text)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select 'wh_readers', l.login from governance.login_limits as l where l.login !~ '^svc_'
    union all
    select 'read_' || r.publish_set || coalesce('_' || r.scope, ''), r.login from governance.readers as r
    union all
    select 'wh_sizes', r.login from governance.readers as r group by r.login having count(r.scope) = 0
    union all
    select 'wh_sizes', s.login from unnest(array['svc_loader', 'svc_dbt', 'svc_match']) as s (login)
    union all
    select 'svc_dbt', 'wh_owner'
    union all
    select r.rolname, l.login from governance.login_limits as l cross join pg_roles as r
    where l.login ~ '^svc_' and r.rolname = 'pg_use_reserved_connections'
$$;

-- Returns whether reads are recorded, and what the log of the last seven days lacks. The server numbers the entries of a
-- session, so a gap is a lost entry. Runs with the rights of the caller, who reads the log's raw table.
create or replace function governance.read_log_state() returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    state text := case
        when not exists (select from pg_settings where name = 'logging_collector' and setting = 'on')
            or not exists (select from pg_settings where name = 'log_destination' and setting ~ 'csvlog')
            then 'not set up: the server writes no CSV log (logging_collector, log_destination)'
        when exists (
            select from governance.log_settings() as s inner join pg_roles as r on s.login = r.rolname
            where format('%s=%s', s.name, s.value) <> all(coalesce(r.rolconfig, '{}'))
        ) then 'not set up: the administrator had no right to set the log settings of each login'
        when exists (select from pg_settings where name = 'pgaudit.log') then 'pgaudit'
        else 'statements; a reader can hide a read, because pgaudit is not installed'
    end;
    losses text;
begin
    if to_regclass('raw_serverlog.entries') is not null then
        execute $query$
            with numbered as (
                select message, session_line_num - 1
                    - lag(session_line_num) over (partition by session_id order by session_line_num) as missing
                from raw_serverlog.entries where log_time >= to_char(now() - interval '7 days', 'YYYY-MM-DD')
            ),
            losses as (
                select sum(missing) filter (where missing > 0) as rows, 'missing' as kind from numbered
                union all
                select count(*), 'cut' from numbered where message like '% [cut]'
                union all
                select count(distinct (file_name, row_number)), 'unreadable' from quarantine.rows
                where system = 'raw_serverlog' and resolved_at is null and quarantined_at > now() - interval '7 days'
            )
            select string_agg(format('%s %s', l.rows, l.kind), ', ' order by l.kind) from losses as l where l.rows > 0
        $query$ into losses;
    end if;
    return state || coalesce('; log entries of the last 7 days: ' || losses, '');
end $$;

-- Returns the rights of services on schemas, tables, columns and functions.
create or replace function governance.current_service_rights()
returns table (schema_name text, object text, login text, privilege text)
language sql stable set search_path = pg_catalog, pg_temp as $$
    with schemas as (
        select oid, nspname::text as name, nspacl, nspowner from pg_namespace
        where nspname !~ '^pg_' and nspname not in ('information_schema', 'public')
    ),
    grants as (
        select s.name, 'schema ' || s.name as object, g.grantee, g.privilege_type, s.nspowner as owner
        from schemas as s cross join aclexplode(s.nspacl) as g
        union all
        select s.name, c.oid::regclass::text, g.grantee, g.privilege_type, c.relowner
        from schemas as s inner join pg_class as c on c.relnamespace = s.oid cross join aclexplode(c.relacl) as g
        union all
        select s.name, c.oid::regclass::text || '.' || a.attname, g.grantee, g.privilege_type, c.relowner
        from schemas as s
        inner join pg_class as c on c.relnamespace = s.oid
        inner join pg_attribute as a on a.attrelid = c.oid
        cross join aclexplode(a.attacl) as g
        union all
        select s.name, p.oid::regprocedure::text, g.grantee, g.privilege_type, p.proowner
        from schemas as s
        inner join pg_proc as p on p.pronamespace = s.oid
        cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as g
    )
    select g.name, g.object, coalesce(r.rolname, 'PUBLIC')::text, g.privilege_type
    from grants as g left join pg_roles as r on g.grantee = r.oid
    where g.grantee <> g.owner and (g.grantee = 0 or r.rolname like 'svc\_%')
$$;

-- Returns how roles, their attributes, memberships, limits, settings and databases, the rights of services, and the owners
-- of functions and triggers differ from access.yml and the last setup.
create or replace function governance.login_differences() returns table (difference text)
language sql stable set search_path = pg_catalog, pg_temp as $$
    with roles as (
        select r.*, r.rolname::text as login,
            r.oid = 10 -- the server's first superuser
            or r.oid = (select datdba from pg_database where datname = current_database())
            or exists (select from governance.administrators as a where a.login = r.rolname) as is_administrator
        from pg_roles as r where r.rolname !~ '^pg_'
    ),
    settings as (
        select r.login, split_part(s.setting, '=', 1) as name, substr(s.setting, strpos(s.setting, '=') + 1) as value
        from roles as r
        inner join pg_db_role_setting as d on d.setrole = r.oid
        cross join unnest(d.setconfig) as s (setting)
        where d.setdatabase in (0, (select oid from pg_database where datname = current_database())) and not r.is_administrator
    )
    select format('%s has %s', r.login, a.name)
    from roles as r
    cross join lateral (
        values ('SUPERUSER', r.rolsuper), ('CREATEROLE', r.rolcreaterole), ('CREATEDB', r.rolcreatedb),
        ('REPLICATION', r.rolreplication), ('BYPASSRLS', r.rolbypassrls), ('LOGIN', r.rolcanlogin and r.login ~ '^(wh|read)_')
    ) as a (name, is_set)
    where a.is_set and not r.is_administrator
    union all
    select format('%s is a member of %s', r.login, m.roleid::regrole)
    from pg_auth_members as m inner join roles as r on m.member = r.oid
    where not r.is_administrator
        and not exists (select from governance.memberships() as e where e.login = r.login and e.role_name = m.roleid::regrole::text)
    union all
    select format('%s may use %s connections, expected %s', r.login, r.rolconnlimit, l.connections)
    from governance.login_limits as l inner join roles as r on l.login = r.login
    where r.rolconnlimit <> l.connections
    union all
    select format(
        'setting %s is not %s for %s', e.name, e.value, string_agg(e.login, ', ' order by e.login)
    )
    from governance.login_settings() as e
    where not exists (select from settings as s where (s.login, s.name, s.value) = (e.login, e.name, e.value))
    group by e.name, e.value
    union all
    select format('%s has the setting %s = %s', s.login, s.name, s.value)
    from settings as s
    where not exists (select from governance.login_settings() as e where (e.login, e.name) = (s.login, s.name))
    union all
    select format('%s has %s on database %s', coalesce(r.login, 'PUBLIC'), g.privilege_type, d.datname)
    from pg_database as d
    cross join aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) as g
    left join roles as r on g.grantee = r.oid
    where g.grantee <> d.datdba and d.datallowconn and not coalesce(r.is_administrator, false)
        and (g.grantee = 0 or d.datname <> current_database())
        and (g.grantee = 0 or r.login ~ '^(svc|wh|read)_' or r.login in (select l.login from governance.login_limits as l))
    union all
    select 'the server reserves no connections for services (reserved_connections is 0)'
    from pg_settings where name = 'reserved_connections' and setting = '0'
    union all
    select format('%s has %s on %s', c.login, c.privilege, c.object)
    from governance.current_service_rights() as c
    where not exists (
        select from governance.service_rights as e
        where (e.object, e.login, e.privilege) = (c.object, c.login, c.privilege)
    ) and not (c.login = 'svc_loader' and c.schema_name ~ '^raw_.*_(store|landing)$' and c.object !~ '^schema ')
    and not (c.login = 'svc_dbt' and c.schema_name ~ '^raw_' and c.schema_name !~ '_(store|landing)$' and c.privilege = 'SELECT')
    and not (c.login = 'svc_dbt' and c.privilege in ('USAGE', 'CREATE') and c.object ~ '^schema ' and exists (
        select from governance.publish_sets as s where c.schema_name in (s.publish_set) or c.schema_name like s.publish_set || '\_\_%'
    ))
    and not (c.login = 'svc_dbt' and c.privilege in ('USAGE', 'SELECT') and exists (
        select from governance.reader_schemas() as s where s.schema_name = c.schema_name
        union all
        select from governance.publish_sets as s where s.publish_set || '_history' = c.schema_name
    ))
    union all
    select format('%s lacks %s on %s', e.login, e.privilege, e.object)
    from governance.service_rights as e
    where not exists (
        select from governance.current_service_rights() as c
        where (e.object, e.login, e.privilege) = (c.object, c.login, c.privilege)
    )
    union all
    select format('PUBLIC has %s on %s', s.privilege, s.object) from governance.sizes_open_to_all() as s
    union all
    select format('%s owns function %s', r.login, p.oid::regprocedure)
    from pg_proc as p inner join roles as r on p.proowner = r.oid
    where r.login <> 'wh_owner' and not r.is_administrator and p.pronamespace::regnamespace::text !~ '^pg_'
    union all
    select format('%s owns %s', r.login, c.oid::regclass)
    from pg_class as c inner join roles as r on c.relowner = r.oid
    where r.login not in ('wh_owner', 'svc_dbt') and not r.is_administrator and c.relkind in ('r', 'p', 'v', 'm', 'f')
        and c.relpersistence <> 't'
    union all
    select format('trigger %s runs a function on %s', t.tgname, t.tgrelid::regclass)
    from pg_trigger as t where not t.tgisinternal
$$;

select pg_temp.own_functions(array[
    'log_settings()', 'login_settings()', 'memberships()', 'read_log_state()', 'current_service_rights()', 'login_differences()'
], '{svc_dbt}');
