-- Schemas of the layers, the systems and the publish sets. <system>_landing holds an extract while it loads,
-- <system>_store the tables, <system> the views that dbt reads.
do $$
declare
    name text;
    schema_name text;
begin
    foreach schema_name in array array['seeds', 'staging', 'conformed'] loop
        execute format('create schema if not exists %I', schema_name);
        execute format('alter schema %I owner to wh_owner', schema_name);
        execute format('grant usage, create on schema %I to svc_dbt', schema_name);
    end loop;

    foreach name in array pg_temp.as_list('warehouse.systems') loop
        insert into governance.load_locks (system) values (name) on conflict do nothing;
        foreach schema_name in array array[name, name || '_store', name || '_landing'] loop
            execute format('create schema if not exists %I', schema_name);
            execute format('alter schema %I owner to wh_owner', schema_name);
            execute format('revoke all on schema %I from svc_loader', schema_name);
            if schema_name <> name then
                execute format('grant usage on schema %I to svc_loader', schema_name);
            end if;
        end loop;
        execute format('grant usage on schema %I to svc_dbt', name);
    end loop;

    foreach name in array pg_temp.as_list('warehouse.publish_sets') loop
        insert into governance.publish_sets (publish_set) values (name) on conflict do nothing;
        execute format('create schema if not exists %I', name);
        execute format('alter schema %I owner to wh_owner', name);
        execute format('revoke create on schema %I from svc_dbt', name);
        execute format('grant usage on schema %I to svc_dbt', name);
        perform governance.create_build_schema(name);
        execute format('grant connect on database %I to %I', current_database(), 'read_' || name);
    end loop;
    execute format('grant connect on database %I to wh_readers', current_database());
end $$;
