-- Functions of this session that read its settings (warehouse/database.py).

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
