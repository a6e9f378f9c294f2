-- Row scopes: tables with the rows that some readers may read, in a schema for each scope of a publish set. Its name is
-- <set>_<scope>, and has the same suffix as the schema of the build.
comment on table governance.row_scopes is
'Row scopes of publish sets, from access.yml: the rows whose row_column has one of row_values, and every row of '
'whole_tables. One row per row scope.';
alter table governance.row_scopes owner to wh_owner;
grant select on governance.row_scopes to svc_dbt;

-- Returns the tables of each row scope of a build, and the condition of their rows; no condition is every row.
create or replace function governance.scope_tables(number bigint)
returns table (scope text, source_schema text, schema_name text, table_name text, condition text)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select s.scope, b.schema_name, b.publish_set || '_' || s.scope || substr(b.schema_name, length(b.publish_set) + 1),
        c.relname::text,
        case when a.attname is not null then format('%I::text = any (%L::text[])', a.attname, s.row_values) end
    from governance.builds as b
    inner join governance.row_scopes as s on b.publish_set = s.publish_set
    inner join pg_class as c on c.relnamespace = to_regnamespace(quote_ident(b.schema_name)) and c.relkind in ('r', 'p')
    left join pg_attribute as a on a.attrelid = c.oid and a.attname = s.row_column and a.attnum > 0 and not a.attisdropped
    where b.build_id = number and (a.attname is not null or c.relname = any(s.whole_tables))
$$;

-- Drops the tables of the row scopes of a build.
create or replace function governance.drop_scopes(number bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    name text;
begin
    for name in select schema_name from governance.reader_schemas() where build_id = number and scope is not null loop
        execute format('drop schema if exists %I cascade', name);
    end loop;
    update governance.builds set scopes = '{}', scopes_made_from = null where build_id = number;
end $$;

-- Returns what the tables of a build's row scopes are made from: access.yml's rows, and the storage files of the tables.
create or replace function governance.scopes_are_made_from(number bigint) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'scopes', (select jsonb_agg(s order by s.scope) from governance.row_scopes as s where s.publish_set = b.publish_set),
        'files', (
            select jsonb_object_agg(c.relname, c.relfilenode) from pg_class as c
            where c.relnamespace = to_regnamespace(quote_ident(b.schema_name)) and c.relkind in ('r', 'p')
        )
    )
    from governance.builds as b where b.build_id = number
$$;

-- Makes the tables of each row scope of a build: a schema of its own, with the rows that its readers may read. Does
-- nothing if they are made.
create or replace function governance.make_scopes(number bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    found record;
    source text;
    target text;
begin
    if governance.scopes_are_made_from(number) = (select scopes_made_from from governance.builds where build_id = number) then
        return;
    end if;
    perform governance.drop_scopes(number);
    update governance.builds as b
    set scopes = (select coalesce(array_agg(scope), '{}') from governance.row_scopes as s where s.publish_set = b.publish_set),
        scopes_made_from = governance.scopes_are_made_from(number)
    where build_id = number;
    for found in select * from governance.reader_schemas() where build_id = number and scope is not null loop
        execute format('create schema %I', found.schema_name);
        execute format('grant usage on schema %I to svc_dbt', found.schema_name);
    end loop;
    for found in select * from governance.scope_tables(number) loop
        source := format('%I.%I', found.source_schema, found.table_name);
        target := format('%I.%I', found.schema_name, found.table_name);
        execute format('lock table %s in access share mode', source); -- dbt's login cannot change the table meanwhile
        if not governance.is_plain_table(to_regclass(source)) then
            raise exception '% is not a plain table. Build the publish set again.', source;
        end if;
        execute format('create table %s (like %s including comments including indexes)', target, source);
        execute format('comment on table %s is %L', target, obj_description(to_regclass(source), 'pg_class'));
        execute format('insert into %s select * from %s where %s', target, source, coalesce(found.condition, 'true'));
        execute format('analyze %s', target);
        execute format('grant select on %s to svc_dbt', target);
    end loop;
end $$;

-- Returns the tables of row scopes that have other rows than access.yml states. Runs with the rights of the caller.
create or replace function governance.scope_differences() returns table (publish_set text, difference text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    found record;
    expected bigint;
    present bigint;
    others bigint;
begin
    for found in
        select b.publish_set, t.*, format('%I.%I', t.source_schema, t.table_name) as source,
            format('%I.%I', t.schema_name, t.table_name) as target
        from governance.builds as b cross join lateral governance.scope_tables(b.build_id) as t
        where b.is_open_to_readers and b.dropped_at is null
    loop
        if to_regclass(found.target) is null then
            return query select found.publish_set, format('%s is missing', found.target);
        elsif governance.is_plain_table(to_regclass(found.source)) and governance.is_plain_table(to_regclass(found.target)) then
            found.condition := coalesce(found.condition, 'true');
            execute format('select count(*) from %s where %s', found.source, found.condition) into expected;
            execute format('select count(*), count(*) filter (where (%s) is not true) from %s', found.condition, found.target)
            into present, others;
            if others > 0 or present <> expected then
                return query select found.publish_set, format(
                    '%s has %s rows, expected %s; %s rows are outside the row scope', found.target, present, expected, others
                );
            end if;
        else
            return query select found.publish_set, format('%s or %s is not a plain table', found.source, found.target);
        end if;
    end loop;
    return query
        select s.publish_set, format('%s is in no row scope', c.oid::regclass)
        from governance.reader_schemas() as s
        inner join pg_class as c on c.relnamespace = to_regnamespace(quote_ident(s.schema_name))
        where c.relkind in ('r', 'p', 'v', 'm', 'f') and s.is_open and s.scope is not null
            and (c.relname, c.relkind) <> ('as_at', 'v') and not exists (
            select from governance.scope_tables(s.build_id) as t
            where t.schema_name = s.schema_name and t.table_name = c.relname
        );
end $$;

select pg_temp.own_functions(array['drop_scopes(bigint)', 'make_scopes(bigint)', 'scopes_are_made_from(bigint)']);
select pg_temp.own_functions(array['scope_tables(bigint)', 'scope_differences()'], '{svc_dbt}');
