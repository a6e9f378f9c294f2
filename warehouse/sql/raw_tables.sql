-- Functions with which the loader makes and changes raw tables. The loader owns no table, view or function and may
-- create none, so that no trigger, view or function of the loader runs with the rights of another login (decision
-- record 70). `system` is the raw schema's name, raw_<system>.

-- Returns the name of a system's schema: its landing schema, its store, or (without `part`) the schema of its views.
create or replace function governance.raw_schema(system text, part text default '') returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
    if system !~ '^raw_[a-z0-9_]+$' or to_regnamespace(quote_ident(system || '_landing')) is null
        or to_regnamespace(quote_ident(system || '_store')) is null then
        raise exception '% is not a system. Run `warehouse access apply` after a contract is added.', system;
    end if;
    return system || part;
end $$;

-- Returns a type of Postgres' own as it is written in `create table`. A domain or type made by a login is refused: its
-- functions would run with the rights of whoever writes the table.
create or replace function governance.built_in_type(kind text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
    if kind !~ '^[a-z ]+(\(\d+(, ?\d+)?\))?$' or not exists (
        select from pg_type where oid = to_regtype(kind) and typnamespace = 'pg_catalog'::regnamespace and typtype = 'b'
    ) then
        raise exception '% is not a type of a raw table.', kind;
    end if;
    return kind;
end $$;

-- Drops the landing tables of a system: those of the last load, or of a load that was interrupted.
create or replace function governance.drop_landing_tables(system text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    leftover text;
begin
    for leftover in
        select c.oid::regclass::text from pg_class as c
        where c.relnamespace = to_regnamespace(quote_ident(governance.raw_schema(system, '_landing'))) and c.relkind = 'r'
    loop
        execute 'drop table ' || leftover;
    end loop;
end $$;

-- Creates empty landing tables, {table: {column: type}}, and drops those of an earlier load.
create or replace function governance.create_landing_tables(system text, tables json) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    landing constant text := governance.raw_schema(system, '_landing');
    name text;
    columns json;
begin
    perform governance.drop_landing_tables(system);
    for name, columns in select t.key, t.value from json_each(tables) as t loop
        execute format('create table %I.%I (%s)', landing, name, (
            select string_agg(format('%I %s', c.key, governance.built_in_type(c.value)), ', ' order by c.ordinality)
            from json_each_text(columns) with ordinality as c
        ));
        execute format('grant select, insert, delete on %I.%I to svc_loader', landing, name);
    end loop;
end $$;

-- Creates the unique index of a table in the landing schema ('_landing') or the store ('_store'), in place of one with
-- other columns.
create or replace function governance.index_raw_table(system text, part text, name text, key text[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    present constant regclass := to_regclass(format('%I.%I', governance.raw_schema(system, part), name || '_key'));
begin
    if part not in ('_landing', '_store') then
        raise exception '% is neither _landing nor _store.', part;
    end if;
    if key <> (select array_agg(attname::text order by attnum) from pg_attribute where attrelid = present) then
        execute 'drop index ' || present;
    end if;
    execute format(
        'create unique index if not exists %I on %I.%I (%s)', name || '_key', governance.raw_schema(system, part), name,
        (select string_agg(quote_ident(k.name), ', ' order by k.ordinality) from unnest(key) with ordinality as k (name))
    );
end $$;

-- Creates the view of a raw table's declared columns, which dbt reads. dbt rebuilds its own views, which are dropped
-- where a column was removed or has another type.
create or replace function governance.create_raw_view(system text, name text, columns text[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    query constant text := format(
        'view %I.%I as select %s from %I.%I', governance.raw_schema(system), name, (
            select string_agg(quote_ident(c.name), ', ' order by c.ordinality) from unnest(columns) with ordinality as c (name)
        ), governance.raw_schema(system, '_store'), name
    );
begin
    begin
        execute 'create or replace ' || query;
    exception when invalid_table_definition then
        execute format('drop view %I.%I cascade', system, name);
        execute 'create ' || query;
    end;
    execute format('grant select on %I.%I to svc_dbt', system, name);
end $$;

-- Makes the landing table the store's table; no row is copied.
create or replace function governance.replace_raw_table(system text, name text, columns text[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    store constant text := governance.raw_schema(system, '_store');
    existed constant boolean := to_regclass(format('%I.%I', store, name)) is not null;
begin
    if existed then
        execute format('alter table %I.%I rename to %I', store, name, name || '__old');
        execute format('drop index if exists %I.%I', store, name || '_key');
    end if;
    execute format('alter table %I.%I set schema %I', system || '_landing', name, store);
    execute format('grant update on %I.%I to svc_loader', store, name);
    perform governance.create_raw_view(system, name, columns);
    if existed then
        execute format('drop table %I.%I', store, name || '__old');
    end if;
end $$;

-- Adds a column to the store's table of a raw table, or changes the column's type.
create or replace function governance.alter_raw_table(system text, name text, column_name text, kind text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    store constant text := format('%I.%I', governance.raw_schema(system, '_store'), name);
begin
    if not exists (
        select from pg_attribute where attrelid = store::regclass and attname = column_name and not attisdropped
    ) then
        execute format('alter table %s add column %I %s', store, column_name, governance.built_in_type(kind));
    else
        execute format('drop view if exists %I.%I cascade', system, name);
        execute format(
            'alter table %s alter column %I type %s using %I::%s', store, column_name, governance.built_in_type(kind),
            column_name, kind
        );
    end if;
end $$;

select pg_temp.own_functions(array['raw_schema(text, text)', 'built_in_type(text)']);
select pg_temp.own_functions(array[
    'drop_landing_tables(text)', 'create_landing_tables(text, json)', 'index_raw_table(text, text, text, text[])',
    'create_raw_view(text, text, text[])', 'replace_raw_table(text, text, text[])',
    'alter_raw_table(text, text, text, text)'
], '{svc_loader}');
