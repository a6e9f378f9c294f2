-- Roles, schemas, the governance tables and the publish functions. Idempotent; run by an administrator's login with
-- the settings warehouse.systems and warehouse.publish_sets (lists of names) and each service's password.

create or replace function pg_temp.as_list(setting text) returns text[] language sql as
$$ select coalesce(string_to_array(nullif(current_setting(setting, true), ''), ','), '{}') $$;

do $$
declare
    role_name text;
begin
    perform pg_advisory_xact_lock(hashtext('warehouse setup'));
    foreach role_name in array array['wh_owner', 'svc_loader', 'svc_dbt', 'svc_dagster']
        || (select coalesce(array_agg('read_' || name), '{}') from unnest(pg_temp.as_list('warehouse.publish_sets')) as name)
    loop
        if not exists (select from pg_roles where rolname = role_name) then
            execute format('create role %I', role_name);
        end if;
        if role_name like 'svc\_%' then
            execute format('alter role %I login password %L', role_name, current_setting('warehouse.password_' || role_name));
        end if;
        if not (select rolsuper from pg_roles where rolname = current_user) then
            execute format('grant %I to current_user', role_name);
        end if;
    end loop;
    grant svc_dbt to wh_owner; -- so that the swap may lock the tables of a set
    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect, temporary on database %I to svc_loader, svc_dbt', current_database());
    execute format('grant create on database %I to wh_owner', current_database()); -- renaming a schema needs it
    revoke all on schema public from public;
end $$;

create schema if not exists governance;
alter schema governance owner to wh_owner;
grant usage on schema governance to svc_loader, svc_dbt;

create table if not exists governance.landings (
    landing_id bigint generated always as identity primary key,
    landed_at timestamptz not null default clock_timestamp(),
    system text not null,
    table_name text not null,
    rows_landed bigint not null,
    version text not null,
    cut_off text not null,
    load_id text not null
);
alter table governance.landings
add column if not exists rows_read bigint not null default 0,
add column if not exists rows_quarantined bigint not null default 0,
add column if not exists rows_total bigint not null default 0,
add column if not exists new_columns text[] not null default '{}';
comment on table governance.landings is
'What each load did to each raw table: rows read at source = rows that arrived + rows quarantined; rows_landed is how '
'many of them were new or changed, rows_total how many the source has that the table holds now. One row per load and '
'raw table.';
create index if not exists landings_latest on governance.landings (system, table_name, landing_id);

create table if not exists governance.publish_sets (
    publish_set text primary key,
    previous_is_whole boolean not null default false,
    candidate jsonb,
    loads jsonb
);
comment on table governance.publish_sets is
'State of each publish set: whether its hidden schema holds the last published set, and the tested build that waits '
'for approval. One row per publish set.';

create table if not exists governance.publications (
    publication_id bigint generated always as identity primary key,
    publish_set text not null,
    action text not null check (action in ('publish', 'refuse', 'undo')),
    decided_at timestamptz not null default clock_timestamp(),
    decided_by text not null default session_user,
    invocation_id text,
    models integer,
    tests_passed integer,
    tests_warned integer,
    tests_failed integer,
    loads jsonb,
    problems text[] not null default '{}',
    approved_changes text[] not null default '{}'
);
comment on table governance.publications is
'What became of each build of a publish set, and each undo: when, by which run, the loads that it rests on, the tests, '
'why it was refused. One row per decision.';

create table if not exists governance.files (
    system text not null,
    table_name text not null,
    sha256 text not null,
    file_name text not null,
    rows_read bigint not null,
    load_id text not null,
    landed_at timestamptz not null default clock_timestamp(),
    primary key (system, table_name, sha256)
);
comment on table governance.files is
'The files that a raw table rests on, known by their content. One row per raw table and content of a file.';

create table if not exists governance.acceptances (
    acceptance_id bigint generated always as identity primary key,
    system text not null,
    table_name text not null,
    reason text not null check (reason <> ''),
    accepted_by text not null default session_user,
    accepted_at timestamptz not null default clock_timestamp(),
    used_by_load text
);
comment on table governance.acceptances is
'Loads that a guard refused and somebody let through, once, with the reason. One row per decision.';

create schema if not exists quarantine;
alter schema quarantine owner to wh_owner;
grant usage on schema quarantine to svc_loader, svc_dbt;

create table if not exists quarantine.rows (
    row_id bigint generated always as identity primary key,
    system text not null,
    table_name text not null,
    rule text not null,
    column_name text,
    key text,
    file_name text,
    row_number bigint,
    content json not null,
    load_id text not null,
    quarantined_at timestamptz not null default clock_timestamp(),
    resolved_at timestamptz,
    resolution text
);
comment on table quarantine.rows is
'Rows that did not fit their source contract: the rule, the place, and the row as it came. Open until it has landed or '
'the source has it no more. One row per row and load that refused it.';
create index if not exists rows_open on quarantine.rows (system, table_name) where resolved_at is null;

alter table governance.files owner to wh_owner;
alter table governance.acceptances owner to wh_owner;
alter table quarantine.rows owner to wh_owner;
grant select, insert, update, delete on governance.files to svc_loader;
grant select, update on governance.acceptances to svc_loader;
grant select, insert, update on quarantine.rows to svc_loader;
grant select, insert on governance.acceptances to svc_dbt;
grant select on governance.files to svc_dbt;
grant select (row_id, system, table_name, rule, column_name, key, file_name, row_number, load_id, quarantined_at,
    resolved_at, resolution) on quarantine.rows to svc_dbt;

alter table governance.landings owner to wh_owner;
alter table governance.publish_sets owner to wh_owner;
alter table governance.publications owner to wh_owner;
grant select, insert on governance.landings to svc_loader;
grant select on governance.landings, governance.publish_sets, governance.publications to svc_dbt;

-- Column changes that readers would notice: what the published set has and the next one has not, or has re-typed.
create or replace function governance.column_changes(set_name text) returns setof text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select c.relname || '.' || a.attname
    from pg_attribute as a
    inner join pg_class as c on a.attrelid = c.oid and c.relkind in ('r', 'v', 'm', 'p')
    where c.relnamespace = to_regnamespace(quote_ident(set_name)) and a.attnum > 0 and not a.attisdropped
        and not exists (
            select from pg_attribute as b
            inner join pg_class as d on b.attrelid = d.oid and d.relname = c.relname
            where d.relnamespace = to_regnamespace(quote_ident(set_name || '__next')) and not b.attisdropped
                and b.attname = a.attname and b.atttypid = a.atttypid and b.atttypmod = a.atttypmod
        )
    order by c.relname, a.attnum
$$;

-- Called when a build of a set starts: its hidden schema is about to change, so there is nothing to undo to.
create or replace function governance.begin_build(set_name text, systems text[]) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    update governance.publish_sets
    set previous_is_whole = false, candidate = null, loads = (
        select coalesce(jsonb_object_agg(latest.system, latest.load_id), '{}')
        from (
            select distinct on (system) system, load_id from governance.landings
            where system = any(systems) order by system, landing_id desc
        ) as latest
    )
    where publish_set = set_name
$$;

-- Shows readers the set that was built and tested in <set>__next. Returns the column changes that nobody approved:
-- none means published. A name in `approved` is a column (table.column) or a whole table.
create or replace function governance.publish(set_name text, build jsonb, approved text[]) returns setof text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    leftover text;
    had_tables boolean;
begin
    perform pg_advisory_xact_lock(hashtext('publish ' || set_name));
    update governance.publish_sets set candidate = coalesce(build, candidate)
    where publish_set = set_name and coalesce(build, candidate) is not null
    returning candidate into build;
    if not found then
        raise exception 'publish set % has no tested build that waits to be published', set_name;
    end if;
    for leftover in -- a model that was removed, or a failed build's scraps
        select
            case c.relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end
            || format(' %I.%I', set_name || '__next', c.relname)
        from pg_class as c
        where c.relnamespace = to_regnamespace(quote_ident(set_name || '__next')) and c.relkind in ('r', 'v', 'm')
            and not build -> 'tables' ? c.relname
    loop
        execute 'drop ' || leftover || ' cascade';
    end loop;
    return query
        select change from governance.column_changes(set_name) as change
        where change <> all(approved) and split_part(change, '.', 1) <> all(approved);
    if found then
        return;
    end if;
    had_tables := exists (select from pg_class where relnamespace = to_regnamespace(quote_ident(set_name)) and relkind = 'r');
    perform governance.swap(set_name);
    update governance.publish_sets set previous_is_whole = had_tables, candidate = null where publish_set = set_name;
    perform governance.record(set_name, 'publish', build, '{}', approved);
end $$;

-- Writes down what became of a build.
create or replace function governance.record(
    set_name text, action text, build jsonb, problems text[], approved text[] default '{}'
) returns void language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into governance.publications (
        publish_set, action, invocation_id, models, tests_passed, tests_warned, tests_failed, loads, problems,
        approved_changes
    )
    select
        s.publish_set, action, build ->> 'invocation_id', jsonb_array_length(build -> 'tables'),
        (build ->> 'tests_passed')::integer, (build ->> 'tests_warned')::integer,
        (build ->> 'tests_failed')::integer, s.loads, problems, approved
    from governance.publish_sets as s where s.publish_set = set_name
$$;

-- Shows readers the set that was published before, until the next build of it starts.
create or replace function governance.undo(set_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform pg_advisory_xact_lock(hashtext('publish ' || set_name));
    if not exists (select from governance.publish_sets where publish_set = set_name and previous_is_whole) then
        raise exception 'publish set % cannot be undone: nothing was published before, or a build has started since', set_name;
    end if;
    perform governance.swap(set_name);
    perform governance.record(set_name, 'undo', '{}', '{}');
end $$;

-- The swap itself: schemas are renamed. A statement looks up its tables one by one, so the old ones are locked for that
-- moment: a statement sees all of them or none. The lock is asked for without waiting, again and again for five seconds,
-- so that nobody queues behind a long reader; if there is never a gap, the swap is done without it. What readers have
-- seen outlives a crash of the server, also where it commits asynchronously.
create or replace function governance.swap(set_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    old_tables text := (
        select string_agg(format('%I.%I', set_name, c.relname), ', ') from pg_class as c
        where c.relnamespace = to_regnamespace(quote_ident(set_name)) and c.relkind in ('r', 'p')
    );
begin
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
    for attempt in 1..2500 loop
        exit when old_tables is null;
        begin
            execute 'lock table ' || old_tables || ' in access exclusive mode nowait';
            exit;
        exception when lock_not_available then
            perform pg_sleep(0.002);
        end;
    end loop;
    execute format('alter schema %I rename to %I', set_name, set_name || '__swap');
    execute format('alter schema %I rename to %I', set_name || '__next', set_name);
    execute format('alter schema %I rename to %I', set_name || '__swap', set_name || '__next');
    execute format('grant usage on schema %I to %I', set_name, 'read_' || set_name);
    execute format('revoke usage on schema %I from %I', set_name || '__next', 'read_' || set_name);
end $$;

do $$
declare
    routine text;
    name text;
    schema_name text;
    old_table text;
begin
    foreach routine in array array[
        'column_changes(text)', 'begin_build(text, text[])', 'publish(text, jsonb, text[])', 'undo(text)',
        'record(text, text, jsonb, text[], text[])', 'swap(text)'
    ] loop
        execute format('alter function governance.%s owner to wh_owner', routine);
        execute format('revoke all on function governance.%s from public', routine);
        if routine not like 'swap%' then
            execute format('grant execute on function governance.%s to svc_dbt', routine);
        end if;
    end loop;

    foreach schema_name in array array['seeds', 'staging', 'conformed'] loop
        execute format('create schema if not exists %I', schema_name);
        execute format('alter schema %I owner to wh_owner', schema_name);
        execute format('grant usage, create on schema %I to svc_dbt', schema_name);
    end loop;

    foreach name in array pg_temp.as_list('warehouse.systems') loop
        -- <system>_landing: where dlt brings an extract; <system>_store: the tables; <system>: what dbt may read of them
        foreach schema_name in array array[name, name || '_store', name || '_landing'] loop
            execute format('create schema if not exists %I', schema_name);
            execute format('alter schema %I owner to wh_owner', schema_name);
            execute format('grant usage, create on schema %I to svc_loader', schema_name);
        end loop;
        for old_table in -- version 0.1 kept its tables where the views are now; they are read again
            select relname from pg_class where relnamespace = to_regnamespace(quote_ident(name)) and relkind = 'r'
        loop
            execute format('drop table %I.%I cascade', name, old_table);
        end loop;
        execute format('grant usage on schema %I to svc_dbt', name);
        execute format('alter default privileges for role svc_loader in schema %I grant select on tables to svc_dbt', name);
    end loop;

    foreach name in array pg_temp.as_list('warehouse.publish_sets') loop
        insert into governance.publish_sets (publish_set) values (name) on conflict do nothing;
        foreach schema_name in array array[name, name || '__next'] loop
            execute format('create schema if not exists %I', schema_name);
            execute format('alter schema %I owner to wh_owner', schema_name);
            execute format('grant usage, create on schema %I to svc_dbt', schema_name);
            execute format(
                'alter default privileges for role svc_dbt in schema %I grant select on tables to %I',
                schema_name, 'read_' || name
            );
        end loop;
        execute format('grant usage on schema %I to %I', name, 'read_' || name);
        execute format('grant connect on database %I to %I', current_database(), 'read_' || name);
    end loop;
end $$;
