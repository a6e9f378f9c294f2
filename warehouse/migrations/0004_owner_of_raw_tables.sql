-- Raw tables and their views belong to wh_owner (warehouse/sql/raw_tables.sql). Functions, triggers and rules of the
-- loader, which a stolen login could have planted, are dropped.
do $$
declare
    found record;
begin
    for found in select oid::regprocedure as name from pg_proc where proowner = to_regrole('svc_loader')
    loop
        execute format('drop routine %s cascade', found.name);
    end loop;
    for found in
        select t.tgname as name, t.tgrelid::regclass as relation
        from pg_trigger as t inner join pg_class as c on t.tgrelid = c.oid
        where c.relowner = to_regrole('svc_loader') and not t.tgisinternal
    loop
        execute format('drop trigger %I on %s', found.name, found.relation);
    end loop;
    for found in
        select r.rulename as name, r.ev_class::regclass as relation
        from pg_rewrite as r inner join pg_class as c on r.ev_class = c.oid
        where c.relowner = to_regrole('svc_loader') and r.rulename <> '_RETURN'
    loop
        execute format('drop rule %I on %s', found.name, found.relation);
    end loop;
    for found in
        select c.oid::regclass as relation, case c.relkind when 'v' then 'view' else 'table' end as kind
        from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid
        where c.relowner = to_regrole('svc_loader') and c.relkind in ('r', 'v') and n.nspname ~ '^raw_'
    loop
        execute format('alter %s %s owner to wh_owner', found.kind, found.relation);
        execute format('revoke all on %s from svc_loader', found.relation);
        if found.kind = 'table' then
            execute format('grant select, insert, update, delete on %s to svc_loader', found.relation);
        end if;
    end loop;
    for found in select n.nspname as name from pg_default_acl as d inner join pg_namespace as n on d.defaclnamespace = n.oid
        where d.defaclrole = to_regrole('svc_loader')
    loop
        execute format('alter default privileges for role svc_loader in schema %I revoke all on tables from svc_dbt', found.name);
    end loop;
end $$;
