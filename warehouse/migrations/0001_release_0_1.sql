-- The tables of release 0.1. A database of release 0.1 has them already, and keeps them and their rows.

create schema if not exists governance;
create schema if not exists vault;
create schema if not exists matching;
create schema if not exists quarantine;

create table if not exists governance.landings (
    landing_id bigint generated always as identity primary key,
    landed_at timestamptz not null default clock_timestamp(),
    system text not null,
    table_name text not null,
    rows_landed bigint not null,
    version text not null,
    cut_off text not null,
    load_id text not null,
    rows_read bigint not null default 0,
    rows_quarantined bigint not null default 0,
    rows_total bigint not null default 0,
    new_columns text[] not null default '{}'
);

create index if not exists landings_latest on governance.landings (system, table_name, landing_id);

create table if not exists governance.publish_sets (
    publish_set text primary key,
    previous_is_whole boolean not null default false,
    candidate jsonb,
    loads jsonb
);

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

create table if not exists governance.acceptances (
    acceptance_id bigint generated always as identity primary key,
    system text not null,
    table_name text not null,
    reason text not null check (reason <> ''),
    accepted_by text not null default session_user,
    accepted_at timestamptz not null default clock_timestamp(),
    used_by_load text
);

create table if not exists governance.readers (
    login text not null,
    publish_set text not null,
    row_column text,
    row_values text[],
    whole_tables text[] not null default '{}',
    primary key (login, publish_set)
);

create table if not exists governance.keys (
    version integer primary key,
    fingerprint text not null,
    current_since timestamptz not null default clock_timestamp()
);

create table if not exists vault.identities (
    system text not null,
    table_name text not null,
    record bytea primary key,
    subject text not null,
    tokens text[] not null,
    sealed bytea not null,
    load_id text not null,
    landed_at timestamptz not null default clock_timestamp()
);

create table if not exists vault.data_keys (
    record bytea primary key,
    salt bytea not null
);

create table if not exists matching.person_records (
    system text not null,
    subject text not null,
    person_id uuid not null,
    matched_by text not null check (matched_by in ('alone', 'number', 'likeness', 'steward')),
    match_probability double precision,
    valid_from timestamptz not null default now(),
    valid_to timestamptz
);

create unique index if not exists person_records_current on matching.person_records (system, subject) where valid_to is null;

create index if not exists person_records_subject on matching.person_records (subject);

create index if not exists person_records_person on matching.person_records (person_id);

create table if not exists matching.pairs (
    one text not null,
    other text not null,
    match_probability double precision not null
);

create table if not exists matching.decisions (
    decision_id bigint generated always as identity primary key,
    one text not null,
    other text not null,
    is_same boolean not null,
    reason text not null,
    decided_by text not null,
    decided_at timestamptz not null default clock_timestamp(),
    withdrawn_at timestamptz
);

create table if not exists governance.disposals (
    disposal_id bigint generated always as identity primary key,
    disposed_at timestamptz not null default clock_timestamp(),
    system text not null,
    table_name text not null,
    cause text not null check (cause in ('erasure', 'retention')),
    rows bigint not null,
    rows_held bigint not null default 0,
    is_out boolean not null default true
);

create table if not exists governance.erasures (
    erasure_id bigint generated always as identity primary key,
    erased_at timestamptz not null default clock_timestamp(),
    erased_by text not null,
    case_reference text not null check (case_reference <> ''),
    tokens text[] not null
);

create table if not exists governance.legal_holds (
    hold_id bigint generated always as identity primary key,
    subject text not null,
    placed_at timestamptz not null default clock_timestamp(),
    placed_by text not null,
    reason text not null check (reason <> ''),
    released_at timestamptz
);

create table if not exists governance.reidentifiers (
    login text primary key,
    per_day integer not null
);

create table if not exists governance.reidentifications (
    reidentification_id bigint generated always as identity primary key,
    asked_at timestamptz not null default clock_timestamp(),
    asked_by text not null,
    token text not null,
    reason text not null,
    case_reference text not null,
    refusal text
);

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

create index if not exists rows_open on quarantine.rows (system, table_name) where resolved_at is null;
