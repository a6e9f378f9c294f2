-- Roles: the owner, the services, each publish set's readers and the logins of access.yml; and what each may do in the
-- database as a whole.
do $$
declare
    role_name text;
    readers constant text[] := pg_temp.reader_logins();
begin
    foreach role_name in array array['wh_owner', 'wh_readers', 'svc_loader', 'svc_dbt', 'svc_match', 'svc_dagster'] || readers
        || (select coalesce(array_agg('read_' || name), '{}') from unnest(pg_temp.as_list('warehouse.publish_sets')) as name)
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
    execute format('grant create on database %I to wh_owner', current_database()); -- required to rename a schema
    revoke all on schema public from public;
end $$;
