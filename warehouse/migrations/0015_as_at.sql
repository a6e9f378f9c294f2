-- The state of a publication, for its readers (warehouse/sql/as_at.sql): the raw tables of a build, the as-at date of its
-- tables, and loads that failed.
alter table governance.builds add column raw_tables text[] not null default '{}';
alter table governance.build_tables add column as_at_date date;

create table governance.load_failures (
    system text primary key,
    failed_at timestamptz not null
);

-- No reader may use this schema: readers call its functions through views of their publish sets
create schema as_at;
create type as_at.facts as (
    source_name text,
    quality_state text,
    data_up_to_date date,
    last_loaded_at timestamp,
    published_at timestamp,
    tests_passed integer,
    tests_warned integer,
    known_gaps text
);

-- warehouse/sql/publication.sql creates it again with another parameter
drop function if exists governance.begin_build(text, text[], text, text[], integer);
