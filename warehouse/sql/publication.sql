-- Publish sets: build, publish by schema swap, roll back, and the audit of both.
comment on table governance.publish_sets is
'State of each publish set: whether the previous publication can be rolled back to, and the tested build that waits for '
'approval. One row per publish set.';
alter table governance.publish_sets owner to wh_owner;
grant select on governance.publish_sets to svc_dbt;

comment on table governance.publications is
'Outcome of each build of a publish set, and each roll back: when, by which run, the loads that the build read, its '
'tests, and the reasons for a refusal. One row per outcome.';
alter table governance.publications owner to wh_owner;
grant select on governance.publications to svc_dbt;

-- Drops the previous publication of a set, after which the set cannot be rolled back.
create or replace function governance.drop_previous(set_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    leftover text;
begin
    update governance.publish_sets set can_roll_back = false, pending_build = null where publish_set = set_name;
    for leftover in
        select c.oid::regclass::text from pg_class as c
        where c.relnamespace = to_regnamespace(quote_ident(set_name || '__next')) and c.relkind in ('r', 'p')
    loop
        execute 'drop table ' || leftover || ' cascade';
    end loop;
end $$;

-- Returns the published columns (table.column) that the next publication drops or re-types.
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

-- Opens a build of a set: records the loads that the build reads, and returns null. The build overwrites the previous
-- publication, so the set cannot be rolled back from here on. Where the set has proposed declassifications (model.column)
-- that nobody has accepted, the build does not open; the refusal is recorded and returned.
create or replace function governance.begin_build(
    set_name text, systems text[], invocation_id text, proposals text[]
) returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    refusal text;
begin
    if cardinality(proposals) > 0 and not exists (select from governance.accepted_proposals) then
        refusal := format(
            'nobody has approved the declassification of %s. Replace each `proposed: ...` by `approved: <name>, <date>: '
            '<why>`, or record in access.yml who accepts the proposals (docs/how-to/approve-declassifications.md)',
            array_to_string(proposals, ', ')
        );
        perform governance.record_outcome(
            set_name, 'refuse', jsonb_build_object('invocation_id', invocation_id), array[refusal]
        );
        return refusal;
    end if;
    update governance.publish_sets
    set can_roll_back = false, pending_build = null, loads = (
        select coalesce(jsonb_object_agg(latest.system, latest.load_id), '{}')
        from (
            select distinct on (system) system, load_id from governance.load_audit
            where system = any(systems) order by system, load_audit_id desc
        ) as latest
    )
    where publish_set = set_name;
    return null;
end $$;

-- Publishes the set that was built and tested in <set>__next. Returns the column changes that are not approved; the set
-- is published only if there are none. A name in `approved` is a column (table.column) or a table.
create or replace function governance.publish(set_name text, build jsonb, approved text[]) returns setof text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    leftover text;
    had_tables boolean;
begin
    perform pg_advisory_xact_lock(hashtext('publish ' || set_name));
    update governance.publish_sets set pending_build = coalesce(build, pending_build)
    where publish_set = set_name and coalesce(build, pending_build) is not null
    returning pending_build into build;
    if not found then
        raise exception 'Publish set % has no tested build to publish. Run `warehouse build`.', set_name;
    end if;
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
        select change from governance.column_changes(set_name) as change
        where change <> all(approved) and split_part(change, '.', 1) <> all(approved);
    if found then
        return;
    end if;
    had_tables := exists (select from pg_class where relnamespace = to_regnamespace(quote_ident(set_name)) and relkind = 'r');
    perform governance.apply_access(set_name, set_name || '__next');
    perform governance.swap(set_name);
    update governance.publish_sets set can_roll_back = had_tables, pending_build = null where publish_set = set_name;
    perform governance.record_outcome(set_name, 'publish', build, '{}', approved);
end $$;

-- Records the outcome of a build.
create or replace function governance.record_outcome(
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

-- Publishes the previous publication again; possible until the next build of the set starts.
create or replace function governance.roll_back(set_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform pg_advisory_xact_lock(hashtext('publish ' || set_name));
    if not exists (select from governance.publish_sets where publish_set = set_name and can_roll_back) then
        raise exception 'Publish set % cannot be rolled back: there is no previous publication, or a build has started since.', set_name;
    end if;
    perform governance.swap(set_name);
    perform governance.record_outcome(set_name, 'roll_back', '{}', '{}');
end $$;

-- Swaps the published and the hidden schema by renaming both. A statement resolves its tables one after another, so the
-- old tables are locked during the swap: no statement reads tables of both versions. The lock is requested without
-- waiting, for five seconds, so that no reader queues behind a long query; after that the swap proceeds without the lock.
-- The swap commits synchronously, so that a crash of the server cannot lose a publication.
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
    perform governance.grant_schema_usage(set_name);
end $$;

-- Only the owner drops and swaps schemas; dbt calls the functions that check first.
do $$
declare
    routine text;
begin
    foreach routine in array array[
        'column_changes(text)', 'begin_build(text, text[], text, text[])', 'publish(text, jsonb, text[])', 'roll_back(text)',
        'record_outcome(text, text, jsonb, text[], text[])', 'swap(text)', 'drop_previous(text)'
    ] loop
        execute format('alter function governance.%s owner to wh_owner', routine);
        execute format('revoke all on function governance.%s from public', routine);
        if routine !~ '^(swap|drop_previous)' then
            execute format('grant execute on function governance.%s to svc_dbt', routine);
        end if;
    end loop;
end $$;
