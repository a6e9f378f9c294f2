-- Functions of this session that the definitions share: they read its settings (warehouse/database.py), and own functions.

create or replace function pg_temp.as_list(setting text) returns text[] language sql as
$$ select coalesce(string_to_array(nullif(current_setting(setting, true), ''), ','), '{}') $$;

create or replace function pg_temp.as_rows(setting text) returns setof jsonb language sql as
$$ select jsonb_array_elements(coalesce(nullif(current_setting(setting, true), ''), '[]')::jsonb) $$;

create or replace function pg_temp.reader_logins() returns text[] language sql as $$
    select coalesce(array_agg(distinct reader ->> 'login'), '{}')
    from (
        select pg_temp.as_rows('warehouse.readers') union all select pg_temp.as_rows('warehouse.reidentifiers')
    ) as r (reader)
$$;

-- Returns the roles of the readers of publish sets and of row scopes.
create or replace function pg_temp.reader_roles() returns setof text language sql as $$
    select 'read_' || name from unnest(pg_temp.as_list('warehouse.publish_sets')) as name
    union all
    select format('read_%s_%s', s ->> 'publish_set', s ->> 'scope') from pg_temp.as_rows('warehouse.row_scopes') as s
$$;

-- Gives functions of governance to wh_owner, and the right to call them to these roles alone.
create or replace function pg_temp.own_functions(routines text[], callers text[] default '{}') returns void language plpgsql as $$
declare
    routine text;
    caller text;
begin
    foreach routine in array routines loop
        execute format('alter function governance.%s owner to wh_owner', routine);
        execute format('revoke all on function governance.%s from public', routine);
        foreach caller in array callers loop
            execute format('grant execute on function governance.%s to %I', routine, caller);
        end loop;
    end loop;
end $$;
