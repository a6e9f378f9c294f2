-- Publish sets: builds, publication by schema swap, kept publications, roll back, and the audit of them all. The schema
-- of a build is <set>__next while dbt builds, <set> while it is published, and <set>__b<build_id> afterwards. The schemas
-- of its row scopes (scopes.sql) are named <set>_<scope> with the same suffix.
comment on table governance.publish_sets is
'Publish sets, and how many replaced publications of each are kept. One row per publish set.';
alter table governance.publish_sets owner to wh_owner;
grant select on governance.publish_sets to svc_dbt;

comment on table governance.builds is
'Builds of publish sets: the schema with the tables, the session that held the build lock, the raw tables and loads that '
'the build read, its tests, and when it was published, replaced and dropped. One row per build.';
alter table governance.builds owner to wh_owner;
grant select on governance.builds to svc_dbt;

comment on table governance.build_tables is
'Tables of each build as dbt made them, before their tests: storage file, transaction, number of rows, and the latest '
'as_at_date. One row per table of a build.';
alter table governance.build_tables owner to wh_owner;
grant select on governance.build_tables to svc_dbt;

comment on table governance.publications is
'Outcome of each build of a publish set, and each roll back: when, by which run, the loads that the build read, its '
'tests, the reasons for a refusal, and whether readers were locked out of the old tables during the swap. One row per '
'outcome.';
alter table governance.publications owner to wh_owner;
grant select on governance.publications to svc_dbt;

-- Returns the schemas that readers read: of each build, the schema of the set and the schemas of its row scopes; and the
-- role of the readers of each.
create or replace function governance.reader_schemas()
returns table (build_id bigint, publish_set text, scope text, schema_name text, reader_role text, is_open boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select b.build_id, b.publish_set, s.scope,
        b.publish_set || coalesce('_' || s.scope, '') || substr(b.schema_name, length(b.publish_set) + 1),
        'read_' || b.publish_set || coalesce('_' || s.scope, ''), b.is_open_to_readers
    from governance.builds as b cross join unnest(array_prepend(null, b.scopes)) as s (scope)
    where b.dropped_at is null
$$;

-- Returns whether a relation is a table that can be read without running code of its owner: no view, and no row security,
-- rule, child table or type of its owner.
create or replace function governance.is_plain_table(relation oid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select c.relkind = 'r' and not c.relrowsecurity and not c.relhasrules and not c.relhassubclass and not exists (
        select from pg_attribute as a inner join pg_type as t on a.atttypid = t.oid
        where a.attrelid = c.oid and not a.attisdropped and t.typnamespace <> 'pg_catalog'::regnamespace
    )
    from pg_class as c where c.oid = relation
$$;

-- Makes the empty schema in which the next build of a set creates its tables.
create or replace function governance.create_build_schema(set_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    execute format('create schema if not exists %I', set_name || '__next');
    execute format('grant usage, create on schema %I to svc_dbt', set_name || '__next');
end $$;

-- Locks a set until the end of the transaction, so that one session at a time builds, publishes or rolls back.
create or replace function governance.lock_publish_set(set_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1min' as $$
begin
    perform from governance.publish_sets where publish_set = set_name for update;
exception when lock_not_available then
    raise exception 'Another session publishes or rolls back publish set %. Try again later.', set_name
        using errcode = 'lock_not_available';
end $$;

-- Drops the builds of a set that nobody needs: unfinished builds, and publications beyond the number to keep. A build
-- that a reader still holds is left for the next call. Returns the schemas that are left.
create or replace function governance.drop_old_builds(set_name text) returns setof text
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '50ms' as $$
declare
    old record;
begin
    for old in select * from governance.surplus_builds() where publish_set = set_name loop
        begin
            perform governance.drop_scopes(old.build_id);
            execute format('drop schema if exists %I cascade', old.schema_name);
            update governance.builds set dropped_at = clock_timestamp() where build_id = old.build_id;
        exception when lock_not_available then
            return next old.schema_name;
        end;
    end loop;
end $$;

-- Drops every build of a set except its publication, after an erasure. Returns the schemas that readers still hold.
create or replace function governance.forget_old_builds(set_name text) returns setof text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform governance.set_aside(set_name);
    update governance.builds set is_kept = false where publish_set = set_name and schema_name <> set_name;
    return query select governance.drop_old_builds(set_name);
end $$;

-- Returns the builds to drop.
create or replace function governance.surplus_builds() returns setof governance.builds
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select b.*
    from governance.builds as b inner join governance.publish_sets as s using (publish_set)
    where b.dropped_at is null and b.schema_name = b.publish_set || '__b' || b.build_id and (
        not b.is_kept or b.published_at is null or s.kept_publications <= (
            select count(*) from governance.builds as later
            where later.publish_set = b.publish_set and later.published_at is not null and later.dropped_at is null
                and later.is_kept and (later.replaced_at, later.build_id) > (b.replaced_at, b.build_id)
                and later.schema_name <> later.publish_set
        )
    )
$$;

-- Returns the sessions that hold tables of a build which is to be dropped.
create or replace function governance.holders_of_old_builds()
returns table (publish_set text, build_id bigint, replaced_at timestamptz, login text, pid integer)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select distinct b.publish_set, b.build_id, b.replaced_at, a.usename::text, a.pid
    from governance.surplus_builds() as b
    inner join governance.reader_schemas() as s on b.build_id = s.build_id
    inner join pg_class as c on c.relnamespace = to_regnamespace(quote_ident(s.schema_name))
    inner join pg_locks as l on l.relation = c.oid and l.granted
        and l.database = (select oid from pg_database where datname = current_database())
    inner join pg_stat_activity as a on l.pid = a.pid
$$;

-- Moves an unfinished build of a set out of the way, to be dropped.
create or replace function governance.set_aside(set_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    number bigint;
begin
    select build_id into number from governance.builds where schema_name = set_name || '__next' and dropped_at is null;
    if exists (select from pg_class where relnamespace = to_regnamespace(quote_ident(set_name || '__next'))) then
        if number is null then -- tables that no build made
            insert into governance.builds (publish_set, schema_name) values (set_name, set_name || '__next')
            returning build_id into number;
        end if;
        perform governance.rename_build(number, '__b' || number);
        perform governance.create_build_schema(set_name);
    else
        perform governance.drop_scopes(number);
        update governance.builds set dropped_at = clock_timestamp() where build_id = number;
    end if;
end $$;

-- Returns the published columns (table.column) that the next publication drops or re-types.
create or replace function governance.column_changes(set_name text) returns setof text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select c.relname || '.' || a.attname
    from pg_attribute as a
    inner join pg_class as c on a.attrelid = c.oid and c.relkind in ('r', 'p')
    where c.relnamespace = to_regnamespace(quote_ident(set_name)) and a.attnum > 0 and not a.attisdropped
        and not exists (
            select from pg_attribute as b
            inner join pg_class as d on b.attrelid = d.oid and d.relname = c.relname
            where d.relnamespace = to_regnamespace(quote_ident(set_name || '__next')) and not b.attisdropped
                and b.attname = a.attname and b.atttypid = a.atttypid and b.atttypmod = a.atttypmod
        )
    order by c.relname, a.attnum
$$;

-- Opens a build of a set in an empty schema, records the raw tables (schema.table) and loads that the build reads, and
-- returns null. `builder` is the process id of the session that holds the build lock. Where that lock is not held, or the set has proposed
-- declassifications (model.column) that nobody has accepted, the build does not open; the refusal is recorded and
-- returned.
create or replace function governance.begin_build(
    set_name text, raw_tables text[], invocation_id text, proposals text[], builder integer
) returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    refusal text;
begin
    if not governance.holds_build_lock(builder) then
        refusal := 'dbt runs without the build lock. Start dbt with `warehouse exec dbt` or `warehouse build`';
    elsif cardinality(proposals) > 0 and not exists (select from governance.accepted_proposals) then
        refusal := format(
            'nobody has approved the declassification of %s. Replace each `proposed: ...` by `approved: <name>, <date>: '
            '<why>`, or record in access.yml who accepts the proposals (docs/how-to/approve-declassifications.md)',
            array_to_string(proposals, ', ')
        );
    end if;
    if refusal is not null then
        perform governance.record_outcome(
            set_name, 'refuse', jsonb_build_object('invocation_id', invocation_id), array[refusal]
        );
        return refusal;
    end if;
    perform governance.lock_publish_set(set_name);
    perform governance.set_aside(set_name);
    perform governance.drop_old_builds(set_name);
    insert into governance.builds (publish_set, schema_name, invocation_id, builder, raw_tables, loads)
    select set_name, set_name || '__next', invocation_id, builder, raw_tables,
        coalesce(jsonb_object_agg(l.system, l.load_id), '{}')
    from (
        select distinct on (system) system, load_id from governance.load_audit
        where system in (select split_part(name, '.', 1) from unnest(raw_tables) as name)
        order by system, load_audit_id desc
    ) as l;
    return null;
end $$;

-- Records a table of the current build, in the transaction that makes the table.
create or replace function governance.note_table(set_name text, name text, invocation_id text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
    number bigint;
    rows_made bigint;
    as_at date;
begin
    select b.build_id into number from governance.builds as b
    where b.schema_name = set_name || '__next' and b.dropped_at is null and b.invocation_id = invocation_id;
    if number is null then
        raise exception 'Another build of publish set % has started.', set_name;
    end if;
    if not governance.is_plain_table(to_regclass(format('%I.%I', set_name || '__next', name))) then
        raise exception '% is not a plain table. A publish set has tables only.', name;
    end if;
    execute format(
        'select count(*), %s from %I.%I',
        case when exists (
            select from pg_attribute as a
            where a.attrelid = to_regclass(format('%I.%I', set_name || '__next', name)) and a.attname = 'as_at_date'
                and a.atttypid = 'date'::regtype
        ) then 'max(as_at_date)' else 'null' end,
        set_name || '__next', name
    ) into rows_made, as_at;
    insert into governance.build_tables (build_id, table_name, relation, file, transaction, row_count, as_at_date)
    select number, name, c.oid, c.relfilenode, pg_current_xact_id()::xid, rows_made, as_at
    from pg_class as c where c.oid = to_regclass(format('%I.%I', set_name || '__next', name));
end $$;

-- Returns the differences between the tables that a build is to publish and the tables that were made and tested.
create or replace function governance.untested_tables(number bigint, tables jsonb) returns setof text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    found record;
    is_as_made boolean;
begin
    for found in
        select t.name, n.transaction, n.row_count, c.oid::regclass as relation, n.file = c.relfilenode as is_same_file
        from jsonb_array_elements_text(tables) as t (name)
        inner join governance.builds as b on b.build_id = number
        left join governance.build_tables as n on n.build_id = number and n.table_name = t.name
        left join pg_class as c on c.oid = n.relation and c.relname = t.name
            and c.relnamespace = to_regnamespace(quote_ident(b.schema_name))
    loop
        if found.transaction is null then
            return next format('table %s is not of this build', found.name);
            continue;
        end if;
        if not governance.is_plain_table(found.relation) then
            return next format('%s is not a plain table', found.name);
            continue;
        end if;
        is_as_made := coalesce(found.is_same_file, false);
        if is_as_made then
            execute format('select count(*) = $1 and count(*) filter (where xmin <> $2) = 0 from %s', found.relation)
            into is_as_made using found.row_count, found.transaction;
        end if;
        if not is_as_made then
            return next format('table %s was changed after this build made it', found.name);
        end if;
    end loop;
end $$;

-- Checks the set that was built and tested in <set>__next; without `build`, the tested build that waits for approval.
-- Returns the reasons why it cannot be published: a column change that is not approved, or a problem of the build. A name
-- in `approved` is a column (table.column) or a table.
create or replace function governance.check_build(set_name text, build jsonb, approved text[])
returns table (change text, problem text)
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1min' as $$
declare
    made governance.builds;
    leftover text;
    new_tables text;
begin
    perform governance.lock_publish_set(set_name);
    select b.* into made from governance.builds as b where b.schema_name = set_name || '__next' and b.dropped_at is null;
    if build is null and made.tested is null then
        raise exception 'Publish set % has no tested build to publish. Run `warehouse build`.', set_name;
    elsif build is not null and made.invocation_id is distinct from build ->> 'invocation_id' then
        return query select null::text, 'another build of the set has started';
        return;
    elsif build is not null and not governance.holds_build_lock(made.builder) then
        return query select null::text, 'the session that held the build lock has ended';
        return;
    end if;
    build := coalesce(build, made.tested);
    select string_agg(format('%I.%I', set_name || '__next', c.relname), ', ') into new_tables from pg_class as c
    where c.relnamespace = to_regnamespace(quote_ident(set_name || '__next')) and c.relkind in ('r', 'p');
    if new_tables is not null then
        execute 'lock table ' || new_tables || ' in share row exclusive mode';
    end if;
    return query select null::text, p from governance.untested_tables(made.build_id, build -> 'tables') as p;
    if found then
        return;
    end if;
    update governance.builds as b set tested = build where b.build_id = made.build_id;
    for leftover in -- of a removed model or a failed build
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
        select c.change, format('%s is dropped or re-typed: `warehouse publish %s --approve %1$s`', c.change, set_name)
        from governance.column_changes(set_name) as c (change)
        where c.change <> all(approved) and split_part(c.change, '.', 1) <> all(approved);
end $$;

-- Makes the tables of row scopes of the build that is to be published, in a transaction before that of the publication: a
-- statement whose snapshot is older than a table sees the table empty. Takes and returns what `publish` does.
create or replace function governance.prepare_publication(set_name text, build jsonb, approved text[])
returns table (change text, problem text)
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1min' as $$
begin
    if exists (select from governance.row_scopes as s where s.publish_set = set_name) then
        return query select c.change, c.problem from governance.check_build(set_name, build, approved) as c;
        if not found then
            perform governance.make_scopes(b.build_id)
            from governance.builds as b where b.schema_name = set_name || '__next' and b.dropped_at is null;
        end if;
    end if;
end $$;

-- Publishes the set, unless `check_build` returns reasons against it; returns these.
create or replace function governance.publish(set_name text, build jsonb, approved text[])
returns table (change text, problem text)
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1min' as $$
declare
    made governance.builds;
begin
    return query select c.change, c.problem from governance.check_build(set_name, build, approved) as c;
    if not found then
        select b.* into made from governance.builds as b where b.schema_name = set_name || '__next' and b.dropped_at is null;
        perform governance.apply_access(made.build_id);
        perform governance.keep_history(set_name, made.build_id);
        perform governance.swap(set_name, made.build_id, 'publish', made.tested, approved);
        perform governance.create_build_schema(set_name);
    end if;
end $$;

-- Records the outcome of a build.
create or replace function governance.record_outcome(
    set_name text, action text, build jsonb, problems text[], approved text[] default '{}', had_lock boolean default null
) returns void language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into governance.publications (
        publish_set, action, invocation_id, models, tests_passed, tests_warned, tests_failed, loads, problems,
        approved_changes, build_id, had_lock
    )
    select
        set_name, action, build ->> 'invocation_id', jsonb_array_length(build -> 'tables'),
        (build ->> 'tests_passed')::integer, (build ->> 'tests_warned')::integer,
        (build ->> 'tests_failed')::integer, b.loads, problems, approved, b.build_id, had_lock
    from (select 1) as one
    left join governance.builds as b on b.publish_set = set_name and (
        b.build_id = (build ->> 'build_id')::bigint or b.invocation_id = build ->> 'invocation_id'
    )
    order by b.build_id desc limit 1
$$;

-- Publishes a kept publication again: the last that was replaced, or the build with this number.
create or replace function governance.roll_back(set_name text, number bigint default null) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1min' as $$
declare
    target governance.builds;
begin
    perform governance.lock_publish_set(set_name);
    select b.* into target from governance.builds as b
    where b.publish_set = set_name and b.published_at is not null and b.dropped_at is null and b.is_kept
        and b.schema_name <> set_name and b.build_id = coalesce(number, b.build_id)
    order by b.replaced_at desc, b.build_id desc limit 1;
    if target.build_id is null then
        raise exception 'Publish set % cannot be rolled back: %. `warehouse status` lists the builds that are kept.', set_name,
            case when number is null then 'no earlier publication is kept' else format('build %s is not kept', number) end;
    end if;
    if not target.is_open_to_readers then
        perform governance.apply_access(target.build_id);
    end if;
    perform governance.keep_history(set_name, target.build_id);
    perform governance.swap(set_name, target.build_id, 'roll_back', jsonb_build_object('build_id', target.build_id), '{}');
    return target.build_id;
end $$;

-- Locks the published tables of a set and of its row scopes until the end of the transaction, and returns whether it
-- could. A statement resolves its tables one after another, so that without the lock a statement could read tables of two
-- versions. The lock queues for at most 250 ms at a time, because readers queue behind it, and is given up after ten
-- seconds.
create or replace function governance.lock_published_tables(set_name text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '250ms' as $$
declare
    milliseconds constant integer[] := '{100, 150, 250}';
    give_up constant timestamptz := clock_timestamp() + interval '10 seconds';
    attempt_ends timestamptz;
    published_table text;
begin
    for attempt in 0..1000 loop
        attempt_ends := clock_timestamp() + interval '1 millisecond' * milliseconds[1 + attempt % 3];
        begin
            for published_table in
                select format('%I.%I', s.schema_name, c.relname)
                from governance.builds as b
                inner join governance.reader_schemas() as s on b.build_id = s.build_id
                inner join pg_class as c on c.relnamespace = to_regnamespace(quote_ident(s.schema_name)) and c.relkind = 'r'
                where b.schema_name = set_name and b.dropped_at is null order by s.schema_name, c.relname
            loop
                perform set_config('lock_timeout', greatest(
                    1, ceil(1000 * extract(epoch from attempt_ends - clock_timestamp()))
                )::text, true);
                execute format('lock table %s in access exclusive mode', published_table);
            end loop;
            return true;
        exception when lock_not_available then
            exit when clock_timestamp() > give_up;
            perform pg_sleep(0.1);
        end;
    end loop;
    return false;
end $$;

-- Renames the schemas of a build: the names of the set and its row scopes, with this suffix.
create or replace function governance.rename_build(number bigint, suffix text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    found record;
begin
    for found in
        select schema_name, publish_set || coalesce('_' || scope, '') || suffix as new_name
        from governance.reader_schemas() where build_id = number
    loop
        execute format('alter schema %I rename to %I', found.schema_name, found.new_name);
    end loop;
    update governance.builds set schema_name = publish_set || suffix where build_id = number;
end $$;

-- Publishes the tables of a build by renaming its schema to the set's name, and the schema of the replaced publication to
-- <set>__b<build>; the schemas of row scopes likewise. The replaced publication keeps its grants: a statement may have
-- resolved its tables already. The swap commits synchronously, so that a crash of the server cannot lose a publication.
create or replace function governance.swap(
    set_name text, number bigint, action text, build jsonb, approved text[]
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    had_lock boolean;
    replaced bigint;
begin
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
    had_lock := governance.lock_published_tables(set_name);
    select build_id into replaced from governance.builds where schema_name = set_name and dropped_at is null;
    if replaced is null then -- before the first publication
        insert into governance.builds (publish_set, schema_name) values (set_name, set_name) returning build_id into replaced;
    end if;
    update governance.builds set replaced_at = clock_timestamp() where build_id = replaced;
    perform governance.rename_build(replaced, '__b' || replaced);
    perform governance.rename_build(number, '');
    update governance.builds set published_at = coalesce(published_at, clock_timestamp()), is_open_to_readers = true
    where build_id = number;
    execute format('revoke create on schema %I from svc_dbt', set_name);
    perform governance.grant_schema_usage(set_name);
    perform governance.record_outcome(set_name, action, build, '{}', approved, had_lock);
end $$;

-- Only the owner drops and swaps schemas; dbt calls the functions that check first.
select pg_temp.own_functions(array[
    'create_build_schema(text)', 'forget_old_builds(text)', 'lock_publish_set(text)', 'lock_published_tables(text)',
    'check_build(text, jsonb, text[])', 'rename_build(bigint, text)', 'set_aside(text)', 'untested_tables(bigint, jsonb)',
    'swap(text, bigint, text, jsonb, text[])'
]);
select pg_temp.own_functions(array[
    'column_changes(text)', 'begin_build(text, text[], text, text[], integer)', 'note_table(text, text, text)',
    'prepare_publication(text, jsonb, text[])', 'publish(text, jsonb, text[])', 'roll_back(text, bigint)',
    'drop_old_builds(text)', 'surplus_builds()', 'holders_of_old_builds()', 'reader_schemas()', 'is_plain_table(oid)',
    'record_outcome(text, text, jsonb, text[], text[], boolean)'
], '{svc_dbt}');
