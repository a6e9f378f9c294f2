-- Sizes and row counts of tables, which the catalogue shows to all: with them a login could tell the number of rows that are
-- outside its row scope. They are for members of wh_sizes. An administrator who does not own the catalogue (a managed
-- server) cannot revoke them; `warehouse access check` reports this.
create or replace function governance.sizes_open_to_all() returns table (object text, privilege text)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select p.oid::regprocedure::text, a.privilege_type
    from pg_proc as p cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
    where p.pronamespace = 'pg_catalog'::regnamespace and a.grantee = 0 and (
        p.proname ~ '^pg_(relation|table|indexes|total_relation|database|tablespace)_size$'
        or (p.proname ~ '^pg_stat_get_' and p.proargtypes[0] = 'oid'::regtype)
    )
    union all
    select 'pg_class', a.privilege_type
    from pg_class as c cross join aclexplode(c.relacl) as a where c.oid = 'pg_class'::regclass and a.grantee = 0
    union all
    select 'pg_class.' || t.attname, a.privilege_type
    from pg_attribute as t cross join aclexplode(t.attacl) as a
    where t.attrelid = 'pg_class'::regclass and a.grantee = 0 and t.attname ~ '^(reltuples|relpages|relall.*)$'
$$;

do $$
declare
    found record;
    columns constant text := (
        select string_agg(quote_ident(attname), ', ') from pg_attribute
        where attrelid = 'pg_class'::regclass and attname !~ '^(reltuples|relpages|relall.*)$'
    );
begin
    for found in select object as name from governance.sizes_open_to_all() where object like '%(%' loop
        if pg_has_role((select proowner from pg_proc where oid = found.name::regprocedure), 'usage') then
            execute format('revoke all on function %s from public', found.name);
            execute format('grant execute on function %s to wh_sizes', found.name);
        end if;
    end loop;
    if exists (select from governance.sizes_open_to_all() as s where s.object ~ '^pg_class')
        and pg_has_role((select relowner from pg_class where oid = 'pg_class'::regclass), 'usage') then
        revoke all on pg_class from public;
        execute format('grant select (%s) on pg_class to public', columns);
        grant select on pg_class to wh_sizes;
    end if;
end $$;

select pg_temp.own_functions(array['sizes_open_to_all()'], '{svc_dbt}');
