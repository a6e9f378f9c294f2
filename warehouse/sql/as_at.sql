-- View <set>.as_at: the loads, publication, tests and known gaps of a set, for its readers. The view calls a function with the rights of
-- wh_owner, so that readers need no right on governance, and a plan shows nothing of its tables.
alter schema as_at owner to wh_owner;
revoke all on schema as_at from public;
alter type as_at.facts owner to wh_owner;

comment on table governance.load_failures is
'Systems whose last load failed, and when. One row per system.';
alter table governance.load_failures owner to wh_owner;
grant select, insert, update, delete on governance.load_failures to svc_loader;
grant select on governance.load_failures to svc_dbt;

do $$
declare
    found jsonb;
begin
    for found in select * from pg_temp.as_rows('warehouse.as_at_columns') loop
        execute format('comment on column as_at.facts.%I is %L', found ->> 'name', found ->> 'description');
    end loop;
end $$;

create or replace function as_at.in_words(moment timestamptz) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
    select to_char(moment at time zone 'Europe/London', 'FMDD FMMonth YYYY, HH24:MI')
$$;

-- Returns a row for all sources of a publish set and a row for each source.
create or replace function as_at.of_set(set_name text) returns setof as_at.facts
language sql stable security definer set search_path = pg_catalog, pg_temp set timezone = 'Europe/London' as $$
    with build as (
        select b.* from governance.builds as b where b.schema_name = set_name and b.dropped_at is null
    ),
    included as ( -- the load of each system that the build read
        select l.key as system, (
            select max(a.load_audit_id) from governance.load_audit as a where a.system = l.key and a.load_id = l.value
        ) as load_audit_id
        from build cross join jsonb_each_text(build.loads) as l
    ),
    raw_tables as (
        select a.system, a.table_name, max(a.load_audit_id) as last_id,
            max(a.load_audit_id) filter (where a.load_audit_id <= i.load_audit_id) as included_id
        from build cross join included as i inner join governance.load_audit as a on i.system = a.system
        where cardinality(build.raw_tables) = 0 or a.system = any(build.raw_tables)
            or a.system || '.' || a.table_name = any(build.raw_tables)
        group by a.system, a.table_name
    ),
    loads as (
        select r.system, last.loaded_at, r.table_name,
            last.data_version is distinct from included.data_version as is_newer,
            -- a cursor value is written with a space, the time of a read or of a file with a T; a value of another kind is no time
            case when included.high_watermark ~ '^\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d|$)' then included.high_watermark end as changed_at,
            case when included.high_watermark ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d' then included.high_watermark end as read_at,
            (
                select count(*) from quarantine.rows as q
                where q.system = r.system and q.table_name = r.table_name and q.resolved_at is null
            ) as rejected
        from raw_tables as r
        inner join governance.load_audit as last on r.last_id = last.load_audit_id
        left join governance.load_audit as included on r.included_id = included.load_audit_id
    ),
    sources as (
        select l.system, max(l.loaded_at) as loaded_at,
            max(l.loaded_at) filter (where l.is_newer) as newer_at,
            coalesce(max(l.changed_at::timestamptz), max(l.read_at::timestamptz))::date as data_up_to_date,
            string_agg(format('%s (%s)', l.table_name, l.rejected), ', ' order by l.table_name) filter (where l.rejected > 0)
            as rejected,
            f.failed_at,
            exists (
                select from governance.alerts as a
                where a.kind = 'data_late' and a.subject = l.system and a.resolved_at is null
            ) as is_late
        from loads as l left join governance.load_failures as f on l.system = f.system
        group by l.system, f.failed_at
    ),
    outcomes as (
        select max(p.decided_at) filter (where p.action <> 'refuse') as published_at,
            max(p.decided_at) filter (where p.action = 'refuse') as refused_at,
            max(p.decided_at) filter (where p.action = 'roll_back') as rolled_back_at,
            exists (
                select from governance.alerts as a
                where a.kind = 'publication_late' and a.subject = set_name and a.resolved_at is null
            ) as is_late
        from governance.publications as p where p.publish_set = set_name
    ),
    states as (
        select s.*,
            case
                when s.failed_at is not null or s.is_late or s.newer_at is not null then 'Out of date'
                when s.rejected is not null then 'Incomplete'
                else 'Up to date'
            end as state,
            concat_ws(
                ' ',
                'The load of ' || as_at.in_words(s.failed_at) || ' failed: the tables have the data of the load before.',
                case when s.is_late then 'Its data are older than agreed.' end,
                'The load of ' || as_at.in_words(s.newer_at) || ' is not published yet.',
                'Rows that were rejected and are missing: ' || s.rejected || '.'
            ) as gaps
        from sources as s
    ),
    for_all as (
        select
            o.*,
            (select min(t.as_at_date) from governance.build_tables as t where t.build_id = b.build_id) as as_at_date,
            coalesce(o.refused_at > o.published_at, false) as is_refused,
            coalesce(o.rolled_back_at = o.published_at, false) as is_rolled_back,
            (b.tested ->> 'tests_passed')::integer as passed, (b.tested ->> 'tests_warned')::integer as warned
        from build as b cross join outcomes as o
    ),
    summary as (
        select max(s.loaded_at) as loaded_at, min(s.data_up_to_date) as data_up_to_date,
            string_agg(s.system, ', ' order by s.system) filter (where s.state = 'Out of date') as late,
            string_agg(s.system, ', ' order by s.system) filter (where s.state = 'Incomplete') as incomplete
        from states as s
    )
    select
        'All sources',
        case
            when a.is_refused or a.is_rolled_back or a.is_late or s.late is not null then 'Out of date'
            when s.incomplete is not null then 'Incomplete'
            else 'Up to date'
        end,
        coalesce(a.as_at_date, s.data_up_to_date),
        s.loaded_at::timestamp(0),
        a.published_at::timestamp(0),
        a.passed,
        a.warned,
        coalesce(nullif(concat_ws(
            ' ',
            case when a.is_refused then
                'The build of ' || as_at.in_words(a.refused_at) || ' did not pass its checks: the tables are those of the publication before.'
            end,
            case when a.is_rolled_back then 'The set was rolled back to an earlier publication.' end,
            case when a.is_late then 'The set was not published for longer than agreed.' end,
            case when a.warned > 0 then a.warned || ' tests gave a warning.' end,
            'Sources out of date: ' || replace(s.late, 'raw_', '') || '.',
            'Sources with missing rows: ' || replace(s.incomplete, 'raw_', '') || '.'
        ), ''), 'None known.')
    from for_all as a cross join summary as s
    union all
    select
        substr(s.system, 5), s.state, s.data_up_to_date, s.loaded_at::timestamp(0), a.published_at::timestamp(0), null, null,
        coalesce(nullif(s.gaps, ''), 'None known.')
    from states as s cross join for_all as a
$$;

-- Makes the view of a build in the schema of the set and of each row scope.
create or replace function governance.make_as_at(number bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    found record;
    described record;
begin
    for found in select * from governance.reader_schemas() where build_id = number loop
        if to_regclass(format('%I.as_at', found.schema_name)) is null then -- a reader may hold the view that is there
            execute format(
                'create view %I.as_at as select * from as_at.of_set(%L)', found.schema_name, found.publish_set
            );
        end if;
        execute format(
            'comment on view %I.as_at is %L', found.schema_name,
            'State of the published tables of the set: last load, data up to, publication, tests and known gaps. '
            'One row per source, and one row for all sources.'
        );
        for described in
            select attname, col_description(attrelid, attnum) as text from pg_attribute where attrelid = 'as_at.facts'::regclass
        loop
            execute format('comment on column %I.as_at.%I is %L', found.schema_name, described.attname, described.text);
        end loop;
        execute format('grant select on %I.as_at to %I, svc_dbt', found.schema_name, found.reader_role);
    end loop;
end $$;

do $$
declare
    routine text;
begin
    foreach routine in array array['in_words(timestamptz)', 'of_set(text)'] loop
        execute format('alter function as_at.%s owner to wh_owner', routine);
        execute format('revoke all on function as_at.%s from public', routine);
        execute format('grant execute on function as_at.%s to wh_readers, svc_dbt', routine);
    end loop;
end $$;

select pg_temp.own_functions(array['make_as_at(bigint)']);
select governance.make_as_at(b.build_id) from governance.builds as b where b.published_at is not null and b.dropped_at is null;
