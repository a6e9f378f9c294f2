-- What reports showed: schema <set>_history keeps each figure of a closed period as it was first published, each restatement,
-- and the records that changed in between. Tables grow with what changes, not with publications (decision 92). A report
-- declares itself as meta.restatements, which dbt gives to the build (dbt_project/macros/publish.sql).

-- Returns the last day of a period: of a date within a month, of the first day of six months, or of a year such as 2025/26.
create or replace function governance.period_end(period text, length text) returns date
language sql immutable strict set search_path = pg_catalog, pg_temp as $$
    select case length
        when 'month' then (date_trunc('month', period::date) + interval '1 month')::date - 1
        when 'six months' then (period::date + interval '6 months')::date - 1
        when 'financial year' then make_date(left(period, 4)::integer + 1, 3, 31)
        when 'academic year' then make_date(left(period, 4)::integer + 1, 8, 31)
    end
$$;

-- Returns the columns of a table's primary key, in order.
create or replace function governance.key_columns(relation oid) returns name[]
language sql stable set search_path = pg_catalog, pg_temp as $$
    select array_agg(a.attname order by k.place)
    from pg_constraint as c
    cross join unnest(c.conkey) with ordinality as k (number, place)
    inner join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = k.number
    where c.conrelid = relation and c.contype = 'p'
$$;

-- Grants the tables of a set's history to its readers.
create or replace function governance.grant_history(set_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if to_regnamespace(quote_ident(set_name || '_history')) is not null then
        execute format('grant select on all tables in schema %I to svc_dbt, %I', set_name || '_history', 'read_' || set_name);
    end if;
end $$;

-- Makes the tables of a set's history, for readers of the whole set: a login with a row scope learns nothing of other rows.
create or replace function governance.create_history(set_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    history constant text := set_name || '_history';
begin
    if to_regnamespace(quote_ident(history)) is not null then
        return;
    end if;
    execute format($sql$
        create schema %1$I;
        create table %1$I.rpt_restatements (
            report text not null,
            period_start_date date not null,
            period_end_date date not null,
            row_name text not null,
            figure text not null,
            value numeric,
            is_suppressed boolean not null,
            published_at timestamptz not null,
            replaced_at timestamptz,
            build_id bigint not null,
            primary key (report, period_end_date, row_name, figure, published_at)
        );
        create table %1$I.rpt_restated_records (
            report text not null,
            fact text not null,
            record_key text not null,
            month_start_date date not null,
            change text not null check (change in ('added', 'changed', 'removed')),
            published_at timestamptz not null,
            build_id bigint not null,
            primary key (report, fact, record_key, month_start_date, published_at)
        );
        comment on table %1$I.rpt_restatements is
        'Figures of reports for closed periods, as they were published. One row per report, period, row, figure and version.';
        comment on column %1$I.rpt_restatements.report is 'Table of the report.';
        comment on column %1$I.rpt_restatements.period_start_date is
        'First day of the period or, for a figure of twelve months, of these.';
        comment on column %1$I.rpt_restatements.period_end_date is 'Last day of the period.';
        comment on column %1$I.rpt_restatements.row_name is
        'Values of the row''s other key columns, separated by /. Empty where the report has one row a period.';
        comment on column %1$I.rpt_restatements.figure is 'Heading of the figure.';
        comment on column %1$I.rpt_restatements.value is 'Figure as published, rounded. Empty where it is suppressed.';
        comment on column %1$I.rpt_restatements.is_suppressed is 'True if the figure is suppressed.';
        comment on column %1$I.rpt_restatements.published_at is
        'Time from which the report showed the value. The first of a figure is its first publication.';
        comment on column %1$I.rpt_restatements.replaced_at is
        'Time from which the report showed another value or none. Empty for the value that it shows.';
        comment on column %1$I.rpt_restatements.build_id is 'Number of the build that first showed the value.';
        comment on table %1$I.rpt_restated_records is
        'Records of facts that changed between two publications after a report had shown their period. One row per '
        'report, record, month and publication.';
        comment on column %1$I.rpt_restated_records.report is 'Table of the report that counts the record.';
        comment on column %1$I.rpt_restated_records.fact is 'Table of the record.';
        comment on column %1$I.rpt_restated_records.record_key is 'Primary key of the record; of several columns, separated by /.';
        comment on column %1$I.rpt_restated_records.month_start_date is 'First day of the month in which the report counts the record.';
        comment on column %1$I.rpt_restated_records.change is
        'added, changed or removed: what happened to the record in the month, in the columns that the report reads.';
        comment on column %1$I.rpt_restated_records.published_at is 'Time of the publication with the change.';
        comment on column %1$I.rpt_restated_records.build_id is 'Number of the build with the change.';
        grant usage on schema %1$I to svc_dbt, %2$I;
    $sql$, history, 'read_' || set_name);
    perform governance.grant_history(set_name);
end $$;

-- Returns the date up to which every table of a build with an as-at date has data: periods that end by then are closed.
create or replace function governance.data_up_to(build_schema text) returns date
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    dates text;
    found date;
begin
    select string_agg(format('select max(as_at_date) as day from %s', c.oid::regclass), ' union all ') into dates
    from pg_class as c inner join pg_attribute as a on a.attrelid = c.oid
    where c.relnamespace = to_regnamespace(quote_ident(build_schema)) and c.relkind = 'r'
        and a.attname = 'as_at_date' and a.atttypid = 'date'::regtype and not a.attisdropped;
    execute 'select min(day) from (' || coalesce(dates, 'select current_date as day') || ') as d' into found;
    return found;
end $$;

-- Keeps what a build changes in the history of its set, before it is published.
create or replace function governance.keep_history(set_name text, number bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    made governance.builds;
    declared jsonb;
    fact record;
begin
    select b.* into made from governance.builds as b where b.build_id = number;
    for declared in select jsonb_array_elements(made.tested -> 'reports') loop
        perform governance.create_history(set_name);
        for fact in select * from jsonb_each(declared -> 'facts') loop
            perform governance.keep_changed_records(set_name, made, declared ->> 'report', fact.key, fact.value);
        end loop;
        perform governance.keep_figures(set_name, made, declared);
    end loop;
end $$;

-- Keeps the figures of a report that differ from what the report showed, for periods that are closed.
create or replace function governance.keep_figures(set_name text, made governance.builds, declared jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    source constant text := format('%I.%I', made.schema_name, declared ->> 'report');
    history constant text := format('%I.rpt_restatements', set_name || '_history');
    keys constant name[] := governance.key_columns(to_regclass(source));
    others text;
    figures text;
    suppressed text := 'false';
begin
    select string_agg(format(', r.%I', k), '') into others from unnest(keys) as k where k <> declared ->> 'period';
    select string_agg(format('(%L, r.%1$I::numeric)', a.attname), ', ') filter (where t.typcategory = 'N'),
        coalesce(max('f.figure = any (string_to_array(r."Suppressed figures", '', ''))') filter (
            where a.attname = 'Suppressed figures'
        ), 'false')
    into figures, suppressed
    from pg_attribute as a inner join pg_type as t on a.atttypid = t.oid
    where a.attrelid = to_regclass(source) and a.attnum > 0 and not a.attisdropped and a.attname <> all (keys);
    if figures is null or not governance.is_plain_table(to_regclass(source)) then
        return;
    end if;
    execute format($sql$
        with shown as (
            select
                (p.last_day + 1 - make_interval(months => %6$s))::date as first_day, p.last_day,
                concat_ws(' / ', null::text %3$s) as row_name, f.figure, f.value, coalesce(%5$s, false) as is_suppressed
            from %1$s as r
            cross join lateral governance.period_end(r.%7$I::text, %8$L) as p (last_day)
            cross join lateral (values %4$s) as f (figure, value)
            where p.last_day <= $1
        ),
        replaced as (
            update %2$s as h set replaced_at = now()
            where h.report = $2 and h.replaced_at is null and h.period_end_date <= $1 and not exists (
                select from shown as s
                where s.last_day = h.period_end_date and s.row_name = h.row_name and s.figure = h.figure
                    and (s.value, s.is_suppressed) is not distinct from (h.value, h.is_suppressed)
            )
        )
        insert into %2$s
        select $2, s.first_day, s.last_day, s.row_name, s.figure, s.value, s.is_suppressed, now(), null, $3
        from shown as s
        where (s.value is not null or s.is_suppressed) and not exists (
            select from %2$s as h
            where h.report = $2 and h.replaced_at is null and h.period_end_date = s.last_day and h.row_name = s.row_name
                and h.figure = s.figure and (h.value, h.is_suppressed) is not distinct from (s.value, s.is_suppressed)
        )
    $sql$,
        source, history, coalesce(others, ''), figures, suppressed,
        case declared ->> 'length' when 'month' then 1 when 'six months' then 6 else 12 end
        + coalesce((declared ->> 'months_before')::integer, 0),
        declared ->> 'period', declared ->> 'length'
    ) using governance.data_up_to(made.schema_name), declared ->> 'report', made.build_id;
end $$;

-- Keeps the keys of the records of a fact that differ from the published ones, in months that the report has shown. Compares
-- the columns that the report reads; a record with several dates counts in the month of each.
create or replace function governance.keep_changed_records(
    set_name text, made governance.builds, report text, fact text, declared jsonb
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    new_table constant regclass := to_regclass(format('%I.%I', made.schema_name, fact));
    old_table constant regclass := to_regclass(format('%I.%I', set_name, fact));
    history constant text := set_name || '_history';
    months text;
    record_key text;
    new_values text;
    old_values text;
    shown_up_to date;
begin
    execute format('select max(period_end_date) from %I.rpt_restatements where report = $1', history) into shown_up_to using report;
    if shown_up_to is null or governance.is_plain_table(old_table) is not true or governance.is_plain_table(new_table) is not true
        or governance.key_columns(new_table) is distinct from governance.key_columns(old_table) then
        return;
    end if;
    select string_agg(format('t.%I', k), ', ') into record_key from unnest(governance.key_columns(new_table)) as k;
    select string_agg(format('t.%I', d), ', ') into months from jsonb_array_elements_text(declared -> 'dates') as d;
    select string_agg(format('n.%I', a.attname), ', '), string_agg(format('o.%I', a.attname), ', ') into new_values, old_values
    from pg_attribute as a
    inner join pg_attribute as b on b.attrelid = old_table and b.attname = a.attname and b.atttypid = a.atttypid
    where a.attrelid = new_table and not a.attisdropped and not b.attisdropped and declared -> 'columns' ? a.attname;
    execute format($sql$
        with new_records as (
            select t.*, concat_ws('/', %3$s) as counted_key, m.month
            from %1$s as t cross join lateral (
                select distinct date_trunc('month', d)::date from unnest(array[%4$s]::date[]) as d
            ) as m (month)
            where m.month + interval '1 month' - interval '1 day' <= $1
        ),
        old_records as (
            select t.*, concat_ws('/', %3$s) as counted_key, m.month
            from %2$s as t cross join lateral (
                select distinct date_trunc('month', d)::date from unnest(array[%4$s]::date[]) as d
            ) as m (month)
            where m.month + interval '1 month' - interval '1 day' <= $1
        )
        insert into %7$I.rpt_restated_records
        select
            $2, $3, coalesce(n.counted_key, o.counted_key), coalesce(n.month, o.month),
            case when o.month is null then 'added' when n.month is null then 'removed' else 'changed' end, now(), $4
        from new_records as n full join old_records as o on n.counted_key = o.counted_key and n.month = o.month
        where n.month is null or o.month is null or row(%5$s) is distinct from row(%6$s)
    $sql$,
        new_table, old_table, record_key, months, coalesce(new_values, 'null'), coalesce(old_values, 'null'), history
    ) using shown_up_to, report, fact, made.build_id;
end $$;

select pg_temp.own_functions(array[
    'period_end(text, text)', 'key_columns(oid)', 'create_history(text)', 'grant_history(text)', 'data_up_to(text)', 'keep_history(text, bigint)',
    'keep_figures(text, governance.builds, jsonb)',
    'keep_changed_records(text, governance.builds, text, text, jsonb)'
]);
