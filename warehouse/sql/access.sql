-- Grants on published tables and on the tables of row scopes, from access.yml; and the comparison of both.
comment on table governance.readers is
'Logins that read a publish set, from access.yml: the set, or a row scope of the set. One row per login and publish set.';
alter table governance.readers owner to wh_owner;
grant select on governance.readers to svc_dbt;

create or replace function governance.is_administrator(login text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select exists (select from pg_roles where rolname = login and (rolsuper or rolcreaterole))
$$;

-- Makes the tables of the row scopes of a build and the view `as_at`, and grants the tables and views of the set, its history
-- and each scope to their readers.
create or replace function governance.apply_access(number bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    found record;
begin
    perform governance.make_scopes(number);
    for found in
        select distinct
            c.oid::regclass as relation,
            case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end as grantee
        from governance.reader_schemas() as s
        inner join pg_class as c on c.relnamespace in (
            to_regnamespace(quote_ident(s.schema_name)), to_regnamespace(quote_ident(s.publish_set || '_history'))
        )
        cross join lateral (
            select x.grantee from aclexplode(c.relacl) as x
            union all
            select x.grantee from pg_attribute as a cross join lateral aclexplode(a.attacl) as x where a.attrelid = c.oid
        ) as acl
        where s.build_id = number and s.scope is null and c.relkind in ('r', 'p', 'v', 'm') and acl.grantee <> c.relowner
    loop
        execute format('revoke all on %s from %s', found.relation, found.grantee);
    end loop;
    for found in select * from governance.reader_schemas() where build_id = number loop
        execute format('grant select on all tables in schema %I to %I', found.schema_name, found.reader_role);
        if found.scope is null then
            perform governance.grant_history(found.publish_set);
        end if;
    end loop;
    perform governance.make_as_at(number);
end $$;

-- Grants the readers of a set and of its row scopes the usage of the published schemas, and of the set's history. The
-- schemas of replaced publications keep what they have.
create or replace function governance.grant_schema_usage(set_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    found record;
begin
    for found in
        select s.schema_name, s.reader_role
        from governance.reader_schemas() as s inner join governance.builds as b using (build_id)
        where b.schema_name = set_name
        union
        select set_name, 'read_' || set_name -- before the first publication
        union
        select nspname, 'read_' || set_name from pg_namespace where nspname = set_name || '_history'
    loop
        perform governance.revoke_schema_usage(found.schema_name);
        execute format('grant usage on schema %I to %I', found.schema_name, found.reader_role);
    end loop;
end $$;

-- Revokes the usage of a schema from everybody but the services.
create or replace function governance.revoke_schema_usage(name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    grantee text;
begin
    for grantee in
        select distinct case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end
        from pg_namespace as n cross join aclexplode(n.nspacl) as acl
        where n.nspname = name and acl.grantee::regrole::text not in ('svc_dbt', 'wh_owner')
    loop
        execute format('revoke all on schema %I from %s', name, grantee);
    end loop;
end $$;

-- Closes the replaced publications of a set to readers, after a change of access.yml. A roll back applies it.
create or replace function governance.close_old_builds(set_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    old_schema text;
begin
    update governance.builds set is_open_to_readers = false
    where publish_set = set_name and schema_name <> set_name and dropped_at is null;
    for old_schema in
        select s.schema_name from governance.reader_schemas() as s where s.publish_set = set_name and not s.is_open
    loop
        perform governance.revoke_schema_usage(old_schema);
    end loop;
end $$;

-- Returns the differences between the database and access.yml, each with its publish set.
create or replace function governance.access_differences() returns table (publish_set text, difference text)
language sql stable set search_path = pg_catalog, pg_temp as $$
    with logins as (
        select r.oid, r.rolname::text as login, exists (select from governance.readers as d where d.login = r.rolname) as is_reader,
            exists (select from governance.reidentifiers as d where d.login = r.rolname) as is_reidentifier
        from pg_roles as r
        where r.rolcanlogin and not r.rolsuper and not r.rolcreaterole and r.rolname not in ('svc_loader', 'svc_dbt', 'svc_match', 'svc_dagster')
            and r.oid <> (select datdba from pg_database where datname = current_database())
    ),
    open_schemas as ( -- the published tables, and replaced publications whose readers have not changed
        select publish_set, null as scope, publish_set as schema_name from governance.publish_sets
        union
        select publish_set, null, publish_set || '_history' from governance.publish_sets -- history.sql
        union
        select publish_set, scope, schema_name from governance.reader_schemas() where is_open
    ),
    allowed as (
        select r.login, o.schema_name
        from open_schemas as o
        inner join governance.readers as r on o.publish_set = r.publish_set and o.scope is not distinct from r.scope
    ),
    relations as (
        select c.oid, n.nspname::text as schema_name, c.oid::regclass::text as name, n.oid as schema_oid
        from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid
        where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not like 'pg\_%' and n.nspname <> 'information_schema'
    ),
    effective as (
        select l.login, l.oid as login_oid, r.oid, r.schema_name, r.name, p.privilege,
            has_schema_privilege(l.oid, r.schema_oid, 'usage') and (
                has_table_privilege(l.oid, r.oid, p.privilege)
                or (p.privilege in ('select', 'insert', 'update') and has_any_column_privilege(l.oid, r.oid, p.privilege))
            ) as has_it,
            p.privilege = 'select' and exists (
                select from allowed as a where a.schema_name = r.schema_name and a.login = l.login
            ) as may_have_it
        from logins as l cross join relations as r
        cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) as p (privilege)
    )
    select null, format('%s can log in to this database and is not in access.yml', login)
    from logins where not is_reader and not is_reidentifier and has_database_privilege(oid, current_database(), 'connect')
    union all
    select d.publish_set, format('%s cannot log in', d.login)
    from governance.readers as d where not exists (select from logins as l where l.login = d.login)
    union all
    select schema_name, format('%s %s %s on %s', login, case when has_it then 'has' else 'lacks' end, upper(privilege), name)
    from effective where has_it <> may_have_it
    union all
    select s.nspname, format('%s has USAGE on schema %s', l.login, s.nspname)
    from logins as l cross join pg_namespace as s
    where s.nspname not like 'pg\_%' and s.nspname <> 'information_schema' and has_schema_privilege(l.oid, s.oid, 'usage')
        and not exists (select from allowed as a where a.login = l.login and a.schema_name = s.nspname)
        and not (l.is_reidentifier and s.nspname = 'governance')
    union all
    select s.nspname, format('%s has CREATE on schema %s', l.login, s.nspname)
    from logins as l cross join pg_namespace as s
    where s.nspname not like 'pg\_%' and has_schema_privilege(l.oid, s.oid, 'create')
    union all
    select null, format('%s has %s on this database', l.login, upper(p.privilege))
    from logins as l cross join unnest(array['create', 'temporary']) as p (privilege)
    where has_database_privilege(l.oid, current_database(), p.privilege)
    union all
    select n.nspname, format('%s has EXECUTE on %s', l.login, f.oid::regprocedure)
    from logins as l cross join pg_proc as f inner join pg_namespace as n on f.pronamespace = n.oid
    where n.nspname not like 'pg\_%' and n.nspname <> 'information_schema'
        and has_schema_privilege(l.oid, n.oid, 'usage') and has_function_privilege(l.oid, f.oid, 'execute')
        and not (l.is_reidentifier and f.oid in (
            'governance.request_reidentification(text, text, text)'::regprocedure, 'governance.reidentify(bigint)'::regprocedure
        ))
    union all
    select 'governance', format('%s cannot re-identify', d.login)
    from governance.reidentifiers as d
    where not has_function_privilege(d.login, 'governance.request_reidentification(text, text, text)', 'execute')
        or not has_function_privilege(d.login, 'governance.reidentify(bigint)', 'execute')
    union all
    select s.publish_set, s.difference from governance.scope_differences() as s
    union all
    select null, d.difference from governance.login_differences() as d
$$;

select pg_temp.own_functions(array[
    'apply_access(bigint)', 'grant_schema_usage(text)', 'revoke_schema_usage(text)', 'close_old_builds(text)'
]);
select pg_temp.own_functions(array['is_administrator(text)', 'access_differences()'], '{svc_dbt}');
