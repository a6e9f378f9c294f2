-- Roles: the owner, the services, each publish set's readers and the logins of access.yml; and what each may do in the
-- database as a whole.
do $$
declare
    role_name text;
    readers constant text[] := pg_temp.reader_logins();
begin
    foreach role_name in array array['wh_owner', 'wh_readers', 'wh_sizes', 'svc_loader', 'svc_dbt', 'svc_match', 'svc_dagster'] || readers
        || array(select pg_temp.reader_roles())
    loop
        if not exists (select from pg_roles where rolname = role_name) then
            execute format('create role %I', role_name);
        end if;
        if role_name like 'svc\_%' or role_name = any(readers) then
            execute format('alter role %I login password %L', role_name, current_setting('warehouse.password_' || role_name));
        end if;
        if not (select rolsuper from pg_roles where rolname = current_user) then
            execute format('grant %I to current_user', role_name);
        end if;
        if role_name = any(readers) then
            execute format('grant wh_readers to %I', role_name);
        end if;
    end loop;
    grant svc_dbt to wh_owner; -- the swap locks the tables of a set
    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect, temporary on database %I to svc_loader, svc_dbt, svc_match', current_database());
    -- create: to rename a schema; temporary: for the commands of administrators, which run as wh_owner
    execute format('grant create, temporary on database %I to wh_owner', current_database());
    revoke all on schema public from public;
end $$;

-- Rights on tables and functions that were granted by hand to a service or to all; the definitions grant the others again.
do $$
declare
    name text;
begin
    for name in select nspname from pg_namespace where nspname in ('governance', 'vault', 'matching', 'quarantine', 'as_at') loop
        execute format('revoke all on all tables in schema %I from public, svc_loader, svc_dbt, svc_match, svc_dagster', name);
        execute format('revoke all on all functions in schema %I from public, svc_loader, svc_dbt, svc_match, svc_dagster', name);
        execute format('revoke all on schema %I from public, svc_loader, svc_dbt, svc_match, svc_dagster', name);
    end loop;
end $$;

-- No login connects to a database that is not its own. Databases of other applications on the server are changed by
-- `warehouse access apply` only; until then the check reports them.
do $$
declare
    name text;
    is_forced constant boolean := current_setting('warehouse.apply_access', true) = 'yes';
begin
    for name in
        select d.datname from pg_database as d
        where (is_forced or d.datname in ('postgres', 'template1', current_database(), current_database() || '_dagster'))
            and exists (select from aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) as a where a.grantee = 0)
            and pg_has_role(d.datdba, 'usage')
    loop
        execute format('revoke all on database %I from public', name);
    end loop;
end $$;
