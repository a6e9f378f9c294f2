-- Grants and row policies on published tables, from governance.readers; and the comparison of both.
comment on table governance.readers is
'Logins that read a publish set, from access.yml: every table in full, or the rows whose row_column has one of '
'row_values, and whole_tables. One row per login and publish set.';
alter table governance.readers owner to wh_owner;
grant select on governance.readers to svc_dbt;

create or replace function governance.is_administrator(login text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select exists (select from pg_roles where rolname = login and (rolsuper or rolcreaterole))
$$;

-- Returns the condition of a reader's row policy, in the form in which Postgres stores it.
create or replace function governance.row_policy_condition(reader governance.readers) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
    select format('(%I = ANY (ARRAY[%s]))', reader.row_column, string_agg(quote_literal(value) || '::text', ', '))
    from unnest(reader.row_values) as value
$$;

-- Returns the grants on each table and view of a schema that governance.readers gives for a publish set. `condition` is
-- null where the grantee reads every row.
create or replace function governance.reader_grants(set_name text, schema_name text)
returns table (relation oid, kind "char", grantee text, condition text)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select c.oid, c.relkind, 'read_' || set_name, null::text
    from pg_class as c
    where c.relnamespace = to_regnamespace(quote_ident(schema_name)) and c.relkind in ('r', 'p', 'v', 'm')
    union all
    select c.oid, c.relkind, r.login, case when a.attname is not null then governance.row_policy_condition(r) end
    from pg_class as c
    inner join governance.readers as r on r.publish_set = set_name and r.row_column is not null
    left join pg_attribute as a on a.attrelid = c.oid and a.attname = r.row_column and not a.attisdropped
    where c.relnamespace = to_regnamespace(quote_ident(schema_name)) and c.relkind in ('r', 'p')
        and (a.attname is not null or c.relname = any(r.whole_tables))
$$;

-- Makes the grants and row policies on a schema's tables equal to governance.reader_grants.
create or replace function governance.apply_access(set_name text, schema_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    found record;
    is_scoped constant boolean := exists (
        select from governance.readers where publish_set = set_name and row_column is not null
    );
begin
    for found in
        select distinct
            c.oid::regclass as relation,
            case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end as grantee
        from pg_class as c
        cross join lateral (
            select x.grantee from aclexplode(c.relacl) as x
            union all
            select x.grantee from pg_attribute as a cross join lateral aclexplode(a.attacl) as x where a.attrelid = c.oid
        ) as acl
        where c.relnamespace = to_regnamespace(quote_ident(schema_name)) and c.relkind in ('r', 'p', 'v', 'm')
            and acl.grantee <> c.relowner
    loop
        execute format('revoke all on %s from %s', found.relation, found.grantee);
    end loop;
    for found in
        select c.oid::regclass as relation, p.polname from pg_policy as p inner join pg_class as c on p.polrelid = c.oid
        where c.relnamespace = to_regnamespace(quote_ident(schema_name))
    loop
        execute format('drop policy %I on %s', found.polname, found.relation);
    end loop;
    for found in
        select c.oid::regclass as relation from pg_class as c
        where c.relnamespace = to_regnamespace(quote_ident(schema_name)) and c.relkind in ('r', 'p')
            and c.relrowsecurity <> is_scoped
    loop
        execute format(
            'alter table %s %s row level security', found.relation, case when is_scoped then 'enable' else 'disable' end
        );
    end loop;
    for found in select r.relation::regclass as relation, r.kind, r.grantee, r.condition
        from governance.reader_grants(set_name, schema_name) as r
    loop
        execute format('grant select on %s to %I', found.relation, found.grantee);
        if is_scoped and found.kind in ('r', 'p') then
            execute format(
                'create policy %I on %s for select to %I using (%s)',
                found.grantee, found.relation, found.grantee, coalesce(found.condition, 'true')
            );
        end if;
    end loop;
end $$;

-- Grants a set's readers the usage of the published schema. The schemas of replaced publications keep what they have.
create or replace function governance.grant_schema_usage(set_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    login text;
begin
    perform governance.revoke_schema_usage(set_name);
    execute format('grant usage on schema %I to %I', set_name, 'read_' || set_name);
    for login in select r.login from governance.readers as r where r.publish_set = set_name and r.row_column is not null
    loop
        execute format('grant usage on schema %I to %I', set_name, login);
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
    for old_schema in
        update governance.builds set is_open_to_readers = false
        where publish_set = set_name and schema_name <> set_name and dropped_at is null
        returning schema_name
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
        select publish_set, publish_set as schema_name from governance.publish_sets
        union
        select publish_set, schema_name from governance.builds where is_open_to_readers and dropped_at is null
    ),
    allowed as (
        select s.publish_set, t.relation, t.grantee, t.condition
        from open_schemas as s cross join lateral governance.reader_grants(s.publish_set, s.schema_name) as t
    ),
    relations as (
        select c.oid, c.relkind, n.nspname::text as schema_name, c.oid::regclass::text as name, c.relrowsecurity, n.oid as schema_oid
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
                select from allowed as a where a.relation = r.oid and (
                    a.grantee = l.login or exists (
                        select from governance.readers as d
                        where d.login = l.login and d.row_column is null and a.grantee = 'read_' || d.publish_set
                    )
                )
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
        and not exists (
            select from governance.readers as d inner join open_schemas as o using (publish_set)
            where d.login = l.login and o.schema_name = s.nspname
        )
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
    select coalesce(a.publish_set, r.schema_name), format(
        'row policy of %s on %s is %s, expected %s', coalesce(a.grantee, p.grantee), r.name, coalesce(p.condition, 'missing'),
        case when a.grantee is null then 'none' else coalesce(a.condition, 'true') end
    )
    from (
        select a.*, exists (
            select from governance.readers as d where d.publish_set = a.publish_set and d.row_column is not null
        ) as is_scoped
        from allowed as a
    ) as a
    full join (
        select q.polrelid, q.polname::text as grantee, pg_get_expr(q.polqual, q.polrelid) as condition
        from pg_policy as q where q.polcmd = 'r' and q.polpermissive
    ) as p on a.relation = p.polrelid and a.grantee = p.grantee
    inner join relations as r on r.oid = coalesce(a.relation, p.polrelid)
    inner join open_schemas as s on s.schema_name = r.schema_name
    where coalesce(a.is_scoped, true) and r.relkind in ('r', 'p')
        and (p.condition is distinct from case when a.grantee is not null then coalesce(a.condition, 'true') end or not r.relrowsecurity)
    union all
    select null, d.difference from governance.login_differences() as d
$$;

select pg_temp.own_functions(array[
    'apply_access(text, text)', 'grant_schema_usage(text)', 'revoke_schema_usage(text)', 'close_old_builds(text)'
]);
select pg_temp.own_functions(array[
    'is_administrator(text)', 'row_policy_condition(governance.readers)', 'reader_grants(text, text)', 'access_differences()'
], '{svc_dbt}');
