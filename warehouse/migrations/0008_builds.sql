-- Each build of a publish set has tables of its own, and publications that were replaced are kept for a while. Locks of
-- loads, builds and matching become tables, which readers cannot lock.
create table governance.builds (
    build_id bigint generated always as identity primary key,
    publish_set text not null references governance.publish_sets,
    schema_name text not null,
    invocation_id text,
    builder integer,
    opened_at timestamptz not null default clock_timestamp(),
    loads jsonb not null default '{}',
    tested jsonb,
    published_at timestamptz,
    replaced_at timestamptz,
    is_kept boolean not null default true,
    is_open_to_readers boolean not null default false,
    dropped_at timestamptz
);
create unique index builds_of_schemas on governance.builds (schema_name) where dropped_at is null;

create table governance.build_tables (
    build_id bigint not null references governance.builds,
    table_name text not null,
    relation oid not null,
    file oid not null,
    transaction xid not null,
    row_count bigint not null,
    primary key (build_id, table_name)
);

-- The tables of today: a previous publication is kept, an unfinished build is dropped by the next build
do $$
declare
    s record;
    number bigint;
begin
    for s in select * from governance.publish_sets loop
        if exists (select from pg_class where relnamespace = to_regnamespace(quote_ident(s.publish_set || '__next'))) then
            insert into governance.builds (publish_set, schema_name, published_at, replaced_at)
            select s.publish_set, s.publish_set || '__next', past.at, past.at from (
                select case when s.can_roll_back then clock_timestamp() end as at
            ) as past
            returning build_id into number;
            execute format('alter schema %I rename to %I', s.publish_set || '__next', s.publish_set || '__b' || number);
            update governance.builds set schema_name = s.publish_set || '__b' || number where build_id = number;
        end if;
        if exists (select from pg_class where relnamespace = to_regnamespace(quote_ident(s.publish_set))) then
            insert into governance.builds (
                publish_set, schema_name, invocation_id, opened_at, loads, published_at, is_open_to_readers
            )
            select s.publish_set, s.publish_set, p.invocation_id, coalesce(p.decided_at, now()), coalesce(p.loads, '{}'),
                coalesce(p.decided_at, now()), true
            from (select 1) as one left join (
                select * from governance.publications
                where publish_set = s.publish_set and action in ('publish', 'roll_back')
                order by publication_id desc limit 1
            ) as p on true;
        end if;
    end loop;
end $$;

alter table governance.publish_sets drop column can_roll_back, drop column pending_build, drop column loads;
alter table governance.publish_sets add column kept_publications integer not null default 2 check (kept_publications >= 0);
alter table governance.publications
add column build_id bigint references governance.builds, add column had_lock boolean;

create table governance.raw_tables_lock ();
create table governance.matching_lock ();
create table governance.load_locks (system text primary key);
alter table governance.raw_tables_lock owner to wh_owner;
alter table governance.matching_lock owner to wh_owner;
alter table governance.load_locks owner to wh_owner;

-- warehouse/sql creates these again with other parameters or results
drop function if exists governance.begin_build(text, text[], text, text[]);
drop function if exists governance.publish(text, jsonb, text[]);
drop function if exists governance.record_outcome(text, text, jsonb, text[], text[]);
drop function if exists governance.column_changes(text);
drop function if exists governance.roll_back(text);
drop function if exists governance.swap(text);
drop function if exists governance.drop_previous(text);
drop function if exists governance.grant_schema_usage(text);
