-- Roles, schemas, the governance tables and the publish functions. Idempotent; run by an administrator's login with
-- the settings warehouse.systems and warehouse.publish_sets (lists of names), warehouse.readers (access.yml as rows of
-- governance.readers, in JSON), warehouse.apply_access (yes: also where nothing has changed) and each login's password.

create or replace function pg_temp.as_list(setting text) returns text[] language sql as
$$ select coalesce(string_to_array(nullif(current_setting(setting, true), ''), ','), '{}') $$;

create or replace function pg_temp.as_rows(setting text) returns setof jsonb language sql as
$$ select jsonb_array_elements(coalesce(nullif(current_setting(setting, true), ''), '[]')::jsonb) $$;

create or replace function pg_temp.reader_logins() returns text[] language sql as $$
    select coalesce(array_agg(distinct reader ->> 'login'), '{}')
    from (
        select pg_temp.as_rows('warehouse.readers') union all select pg_temp.as_rows('warehouse.reidentifiers')
    ) as r (reader)
$$;

do $$
declare
    role_name text;
    readers constant text[] := pg_temp.reader_logins();
begin
    perform pg_advisory_xact_lock(hashtext('warehouse setup'));
    foreach role_name in array array['wh_owner', 'wh_readers', 'svc_loader', 'svc_dbt', 'svc_match', 'svc_dagster'] || readers
        || (select coalesce(array_agg('read_' || name), '{}') from unnest(pg_temp.as_list('warehouse.publish_sets')) as name)
    loop
        if not exists (select from pg_roles where rolname = role_name) then
            execute format('create role %I', role_name);
        end if;
        if role_name like 'svc\_%' or role_name = any(readers) then
            execute format('alter role %I login password %L', role_name, current_setting('warehouse.password_' || role_name));
        end if;
        if not (select rolsuper from pg_roles where rolname = current_user) then
            execute format('grant %I to current_user', role_name);
        end if;
        if role_name = any(readers) then
            execute format('grant wh_readers to %I', role_name);
        end if;
    end loop;
    grant svc_dbt to wh_owner; -- so that the swap may lock the tables of a set
    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect, temporary on database %I to svc_loader, svc_dbt, svc_match', current_database());
    execute format('grant create on database %I to wh_owner', current_database()); -- renaming a schema needs it
    revoke all on schema public from public;
end $$;

create schema if not exists governance;
alter schema governance owner to wh_owner;
grant usage on schema governance to svc_loader, svc_dbt, svc_match;

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

create table if not exists governance.readers (
    login text not null,
    publish_set text not null,
    row_column text,
    row_values text[],
    whole_tables text[] not null default '{}',
    primary key (login, publish_set)
);
comment on table governance.readers is
'Who may read a publish set, as access.yml says: whole, or the rows whose row_column has one of row_values, and '
'whole_tables. One row per login and publish set.';
alter table governance.readers owner to wh_owner;
grant select on governance.readers to svc_dbt;

create table if not exists governance.keys (
    version integer primary key,
    fingerprint text not null,
    current_since timestamptz not null default clock_timestamp()
);
comment on table governance.keys is
'Which vault key the tokens and sealed records were made with, by its fingerprint; the highest version is in use. One '
'row per version.';
alter table governance.keys owner to wh_owner;
grant select on governance.keys to svc_loader, svc_dbt, svc_match;

create schema if not exists vault;
alter schema vault owner to wh_owner;
grant usage on schema vault to svc_loader, svc_match;

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
comment on table vault.identities is
'The identifiers of raw rows, sealed: `tokens` (in the contract''s order) are what the raw rows have in their place, `subject` is the token that stands for the person. One row per raw table and distinct identity.';

create table if not exists vault.data_keys (
    record bytea primary key,
    salt bytea not null
);
comment on table vault.data_keys is
'The salt without which a sealed record cannot be opened, also with the vault key; it is destroyed with the record, and '
'dumped apart from it. One row per identity record.';
alter table vault.identities owner to wh_owner;
alter table vault.data_keys owner to wh_owner;
grant select (system, table_name, record, subject, tokens), insert, delete on vault.identities to svc_loader;
grant select (record), insert, delete on vault.data_keys to svc_loader;
grant select on vault.identities, vault.data_keys to svc_match;

-- Who is who across systems (warehouse/matching.py): tokens and random ids, no clear value
create schema if not exists matching;
alter schema matching owner to wh_owner;
grant usage on schema matching to svc_loader, svc_dbt, svc_match;
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
comment on table matching.person_records is
'Whose each system''s record of a person is, and was: `subject` is the token that raw tables have of the person, '
'`person_id` a random id that is nobody else''s ever. One row per record and time in which it was one person''s.';
create table if not exists matching.pairs (
    one text not null,
    other text not null,
    match_probability double precision not null
);
comment on table matching.pairs is
'Records (by their tokens) that may be one person''s, or surely seem to be and contradict others: for a steward to decide. '
'One row per pair, made anew by each run.';
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
comment on table matching.decisions is
'What stewards have decided of pairs of records: one person or two. Every run of matching holds to it, and it can be '
'withdrawn. One row per decision.';
alter table matching.person_records owner to wh_owner;
alter table matching.pairs owner to wh_owner;
alter table matching.decisions owner to wh_owner;
grant select, insert, update on matching.person_records to svc_match;
grant select, insert, delete on matching.pairs to svc_match;
grant select on matching.decisions to svc_match;
grant select on matching.person_records to svc_dbt;
grant select (subject), delete on matching.person_records to svc_loader;
grant select (one, other), delete on matching.pairs, matching.decisions to svc_loader;

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
comment on table governance.disposals is
'Rows deleted from raw tables because a person asked or their time was over; rows_held were due and stay for a legal '
'hold; is_out until the source was read whole again. One row per raw table and disposal.';

create table if not exists governance.erasures (
    erasure_id bigint generated always as identity primary key,
    erased_at timestamptz not null default clock_timestamp(),
    erased_by text not null,
    case_reference text not null check (case_reference <> ''),
    tokens text[] not null
);
comment on table governance.erasures is
'People who were erased, by tokens that nothing can resolve any more; done again each day, and after a restore. One row '
'per request.';

create table if not exists governance.legal_holds (
    hold_id bigint generated always as identity primary key,
    subject text not null,
    placed_at timestamptz not null default clock_timestamp(),
    placed_by text not null,
    reason text not null check (reason <> ''),
    released_at timestamptz
);
comment on table governance.legal_holds is
'People whose rows must stay, until released_at, whatever retention or a request says. One row per person and hold.';

create table if not exists governance.reidentifiers (
    login text primary key,
    per_day integer not null
);
comment on table governance.reidentifiers is
'Who may ask whom a token stands for, and how often in 24 hours, as access.yml says. One row per login.';

create table if not exists governance.reidentifications (
    reidentification_id bigint generated always as identity primary key,
    asked_at timestamptz not null default clock_timestamp(),
    asked_by text not null,
    token text not null,
    reason text not null,
    case_reference text not null,
    refusal text
);
comment on table governance.reidentifications is
'Each time that somebody asked whom a token stands for, and why it was refused if it was. One row per question.';

do $$
declare
    name text;
begin
    foreach name in array array['disposals', 'erasures', 'legal_holds', 'reidentifiers', 'reidentifications'] loop
        execute format('alter table governance.%I owner to wh_owner', name);
        execute format('grant select on governance.%I to svc_dbt', name);
    end loop;
    grant select, insert, update (is_out) on governance.disposals to svc_loader;
    grant select on governance.erasures, governance.legal_holds to svc_loader;
end $$;

-- Whom a token stands for: the sealed records with that token, which the vault key opens. Every question is written down.
create or replace function governance.reidentify(asked text, reason text, case_reference text)
returns table (refusal text, system text, table_name text, salt bytea, sealed bytea)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    refused text;
    allowed integer;
begin
    perform pg_advisory_xact_lock(hashtext('reidentify ' || session_user));
    select r.per_day into allowed from governance.reidentifiers as r where r.login = session_user;
    refused := case
        when allowed is null then 'access.yml does not name this login for re-identification'
        when length(trim(coalesce(reason, ''))) < 10 then 'a reason in words is needed'
        when trim(coalesce(case_reference, '')) = '' then 'a case reference is needed'
        when (
            select count(*) from governance.reidentifications as r
            where r.asked_by = session_user and r.refusal is null and r.asked_at > now() - interval '24 hours'
        ) >= allowed then format('%s questions were answered in the last 24 hours; there are no more', allowed)
        when exists (
            select from vault.identities as i where asked = any(i.tokens)
            group by i.system, i.table_name having count(distinct i.subject) > 1
        ) then 'several people share this token; ask by one that is one person''s alone'
    end;
    insert into governance.reidentifications (asked_by, token, reason, case_reference, refusal)
    values (session_user, coalesce(asked, ''), coalesce(reason, ''), coalesce(case_reference, ''), refused);
    if refused is not null then
        return query select refused, null::text, null::text, null::bytea, null::bytea;
    else
        return query
            select null::text, i.system, i.table_name, k.salt, i.sealed
            from vault.identities as i inner join vault.data_keys as k using (record)
            where asked = any(i.tokens)
            order by i.system, i.table_name, i.record;
    end if;
end $$;

create or replace function governance.is_administrator(login text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select exists (select from pg_roles where rolname = login and (rolsuper or rolcreaterole))
$$;

-- Takes what was published before out of a set's hidden schema: there is nothing to undo to then.
create or replace function governance.forget_previous(set_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    leftover text;
begin
    update governance.publish_sets set previous_is_whole = false, candidate = null where publish_set = set_name;
    for leftover in
        select c.oid::regclass::text from pg_class as c
        where c.relnamespace = to_regnamespace(quote_ident(set_name || '__next')) and c.relkind in ('r', 'p')
    loop
        execute 'drop table ' || leftover || ' cascade';
    end loop;
end $$;

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
grant select, insert, update, delete on quarantine.rows to svc_loader;
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
    perform governance.apply_access(set_name, set_name || '__next');
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
    perform governance.open_schemas(set_name);
end $$;

-- The condition of a row policy, as Postgres itself writes it.
create or replace function governance.row_condition(reader governance.readers) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
    select format('(%I = ANY (ARRAY[%s]))', reader.row_column, string_agg(quote_literal(value) || '::text', ', '))
    from unnest(reader.row_values) as value
$$;

-- What each login may read of each table and view of a schema that holds (or is to hold) a publish set: every right that
-- follows from governance.readers. `condition` is null where it reads every row.
create or replace function governance.rights(set_name text, schema_name text)
returns table (relation oid, kind "char", grantee text, condition text)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select c.oid, c.relkind, 'read_' || set_name, null::text
    from pg_class as c
    where c.relnamespace = to_regnamespace(quote_ident(schema_name)) and c.relkind in ('r', 'p', 'v', 'm')
    union all
    select c.oid, c.relkind, r.login, case when a.attname is not null then governance.row_condition(r) end
    from pg_class as c
    inner join governance.readers as r on r.publish_set = set_name and r.row_column is not null
    left join pg_attribute as a on a.attrelid = c.oid and a.attname = r.row_column and not a.attisdropped
    where c.relnamespace = to_regnamespace(quote_ident(schema_name)) and c.relkind in ('r', 'p')
        and (a.attname is not null or c.relname = any(r.whole_tables))
$$;

-- Makes grants and row policies of a schema's tables what governance.rights says, and nothing else.
create or replace function governance.apply_access(set_name text, schema_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    found record;
    is_scoped constant boolean := exists (
        select from governance.readers where publish_set = set_name and row_column is not null
    );
begin
    for found in
        select distinct
            c.oid::regclass as relation,
            case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end as grantee
        from pg_class as c
        cross join lateral (
            select x.grantee from aclexplode(c.relacl) as x
            union all
            select x.grantee from pg_attribute as a cross join lateral aclexplode(a.attacl) as x where a.attrelid = c.oid
        ) as acl
        where c.relnamespace = to_regnamespace(quote_ident(schema_name)) and c.relkind in ('r', 'p', 'v', 'm')
            and acl.grantee <> c.relowner
    loop
        execute format('revoke all on %s from %s', found.relation, found.grantee);
    end loop;
    for found in
        select c.oid::regclass as relation, p.polname from pg_policy as p inner join pg_class as c on p.polrelid = c.oid
        where c.relnamespace = to_regnamespace(quote_ident(schema_name))
    loop
        execute format('drop policy %I on %s', found.polname, found.relation);
    end loop;
    for found in
        select c.oid::regclass as relation from pg_class as c
        where c.relnamespace = to_regnamespace(quote_ident(schema_name)) and c.relkind in ('r', 'p')
            and c.relrowsecurity <> is_scoped
    loop
        execute format(
            'alter table %s %s row level security', found.relation, case when is_scoped then 'enable' else 'disable' end
        );
    end loop;
    for found in select r.relation::regclass as relation, r.kind, r.grantee, r.condition
        from governance.rights(set_name, schema_name) as r
    loop
        execute format('grant select on %s to %I', found.relation, found.grantee);
        if is_scoped and found.kind in ('r', 'p') then
            execute format(
                'create policy %I on %s for select to %I using (%s)',
                found.grantee, found.relation, found.grantee, coalesce(found.condition, 'true')
            );
        end if;
    end loop;
end $$;

-- Lets a set's readers into the schema that is published, and out of every other.
create or replace function governance.open_schemas(set_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    found record;
begin
    for found in
        select n.oid::regnamespace as schema_name, acl.grantee::regrole as grantee
        from pg_namespace as n cross join aclexplode(n.nspacl) as acl
        where n.nspname in (set_name, set_name || '__next') and acl.grantee <> 0
            and acl.grantee::regrole::text not in ('svc_dbt', 'wh_owner')
    loop
        execute format('revoke all on schema %s from %s', found.schema_name, found.grantee);
    end loop;
    execute format('grant usage on schema %I to %I', set_name, 'read_' || set_name);
    for found in select login from governance.readers where publish_set = set_name and row_column is not null
    loop
        execute format('grant usage on schema %I to %I', set_name, found.login);
    end loop;
end $$;

-- Where the database is otherwise than access.yml: in words, with the publish set that it concerns.
create or replace function governance.access_differences() returns table (publish_set text, difference text)
language sql stable set search_path = pg_catalog, pg_temp as $$
    with logins as (
        select r.oid, r.rolname::text as login, exists (select from governance.readers as d where d.login = r.rolname) as is_reader,
            exists (select from governance.reidentifiers as d where d.login = r.rolname) as is_reidentifier
        from pg_roles as r
        where r.rolcanlogin and not r.rolsuper and not r.rolcreaterole and r.rolname not in ('svc_loader', 'svc_dbt', 'svc_match', 'svc_dagster')
            and r.oid <> (select datdba from pg_database where datname = current_database())
    ),
    allowed as (
        select s.publish_set, t.relation, t.grantee, t.condition
        from governance.publish_sets as s cross join lateral governance.rights(s.publish_set, s.publish_set) as t
    ),
    relations as (
        select c.oid, c.relkind, n.nspname::text as schema_name, c.oid::regclass::text as name, c.relrowsecurity, n.oid as schema_oid
        from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid
        where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not like 'pg\_%' and n.nspname <> 'information_schema'
    ),
    effective as (
        select l.login, l.oid as login_oid, r.oid, r.schema_name, r.name, p.privilege,
            has_schema_privilege(l.oid, r.schema_oid, 'usage') and (
                has_table_privilege(l.oid, r.oid, p.privilege)
                or (p.privilege in ('select', 'insert', 'update') and has_any_column_privilege(l.oid, r.oid, p.privilege))
            ) as has_it,
            p.privilege = 'select' and exists (
                select from allowed as a where a.relation = r.oid and (
                    a.grantee = l.login or exists (
                        select from governance.readers as d
                        where d.login = l.login and d.row_column is null and a.grantee = 'read_' || d.publish_set
                    )
                )
            ) as may_have_it
        from logins as l cross join relations as r
        cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) as p (privilege)
    )
    select null, format('%s may log in to this database, and is not named', login)
    from logins where not is_reader and not is_reidentifier and has_database_privilege(oid, current_database(), 'connect')
    union all
    select d.publish_set, format('%s cannot log in', d.login)
    from governance.readers as d where not exists (select from logins as l where l.login = d.login)
    union all
    select schema_name, format('%s %s %s on %s', login, case when has_it then 'has' else 'lacks' end, privilege, name)
    from effective where has_it <> may_have_it
    union all
    select s.nspname, format('%s may look into schema %s', l.login, s.nspname)
    from logins as l cross join pg_namespace as s
    where s.nspname not like 'pg\_%' and s.nspname <> 'information_schema' and has_schema_privilege(l.oid, s.oid, 'usage')
        and not exists (select from governance.readers as d where d.login = l.login and d.publish_set = s.nspname)
        and not (l.is_reidentifier and s.nspname = 'governance')
    union all
    select s.nspname, format('%s may create in schema %s', l.login, s.nspname)
    from logins as l cross join pg_namespace as s
    where s.nspname not like 'pg\_%' and has_schema_privilege(l.oid, s.oid, 'create')
    union all
    select null, format('%s may %s in this database', l.login, p.privilege)
    from logins as l cross join unnest(array['create', 'temporary']) as p (privilege)
    where has_database_privilege(l.oid, current_database(), p.privilege)
    union all
    select n.nspname, format('%s may call %s', l.login, f.oid::regprocedure)
    from logins as l cross join pg_proc as f inner join pg_namespace as n on f.pronamespace = n.oid
    where n.nspname not like 'pg\_%' and n.nspname <> 'information_schema'
        and has_schema_privilege(l.oid, n.oid, 'usage') and has_function_privilege(l.oid, f.oid, 'execute')
        and not (l.is_reidentifier and f.oid = 'governance.reidentify(text, text, text)'::regprocedure)
    union all
    select 'governance', format('%s may not re-identify', d.login)
    from governance.reidentifiers as d
    where not has_function_privilege(d.login, 'governance.reidentify(text, text, text)', 'execute')
    union all
    select coalesce(a.publish_set, r.schema_name), format(
        'row policy of %s on %s is %s, not %s', coalesce(a.grantee, p.grantee), r.name, coalesce(p.condition, 'missing'),
        case when a.grantee is null then 'there' else coalesce(a.condition, 'true') end
    )
    from (
        select a.*, exists (
            select from governance.readers as d where d.publish_set = a.publish_set and d.row_column is not null
        ) as is_scoped
        from allowed as a
    ) as a
    full join (
        select q.polrelid, q.polname::text as grantee, pg_get_expr(q.polqual, q.polrelid) as condition
        from pg_policy as q where q.polcmd = 'r' and q.polpermissive
    ) as p on a.relation = p.polrelid and a.grantee = p.grantee
    inner join relations as r on r.oid = coalesce(a.relation, p.polrelid)
    inner join governance.publish_sets as s on s.publish_set = r.schema_name
    where coalesce(a.is_scoped, true) and r.relkind in ('r', 'p')
        and (p.condition is distinct from case when a.grantee is not null then coalesce(a.condition, 'true') end or not r.relrowsecurity)
$$;

do $$
declare
    routine text;
    name text;
    schema_name text;
    old_table text;
begin
    foreach routine in array array[
        'column_changes(text)', 'begin_build(text, text[])', 'publish(text, jsonb, text[])', 'undo(text)',
        'record(text, text, jsonb, text[], text[])', 'swap(text)', 'open_schemas(text)', 'apply_access(text, text)',
        'rights(text, text)', 'forget_previous(text)', 'is_administrator(text)', 'reidentify(text, text, text)', 'row_condition(governance.readers)', 'access_differences()'
    ] loop
        execute format('alter function governance.%s owner to wh_owner', routine);
        execute format('revoke all on function governance.%s from public', routine);
        if routine !~ '^(swap|open_schemas|apply_access|forget_previous|reidentify)' then
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
            execute format( -- version 0.1 gave them; now a publication does
                'alter default privileges for role svc_dbt in schema %I revoke select on tables from %I',
                schema_name, 'read_' || name
            );
        end loop;
        execute format('grant connect on database %I to %I', current_database(), 'read_' || name);
    end loop;
    execute format('grant connect on database %I to wh_readers', current_database());
end $$;

-- Readers as access.yml names them now. Tables that are published are touched only where a set's readers have changed.
do $$
declare
    wanted constant jsonb := coalesce(nullif(current_setting('warehouse.readers', true), ''), '[]');
    is_forced constant boolean := current_setting('warehouse.apply_access', true) = 'yes'; -- grants made by hand go too
    before constant jsonb := (select coalesce(jsonb_agg(to_jsonb(r)), '[]') from governance.readers as r);
    name text;
    member text;
    schema_name text;
begin
    if is_forced then
        for schema_name, member in
            select n.nspname, case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end
            from pg_namespace as n cross join aclexplode(n.nspacl) as acl left join pg_roles as r on acl.grantee = r.oid
            where n.nspname not like 'pg\_%' and n.nspname <> 'information_schema'
                and (acl.grantee = 0 or r.rolname like 'read\_%' or r.rolname = any(pg_temp.reader_logins()))
        loop
            execute format('revoke all on schema %I from %s', schema_name, member);
        end loop;
    end if;
    for member in select login from governance.reidentifiers loop
        if to_regrole(member) is not null then
            execute format('revoke all on schema governance from %I', member);
            execute format('revoke all on function governance.reidentify(text, text, text) from %I', member);
        end if;
    end loop;
    delete from governance.reidentifiers;
    insert into governance.reidentifiers (login, per_day)
    select r.login, r.per_day
    from pg_temp.as_rows('warehouse.reidentifiers') as given
    cross join jsonb_populate_record(null::governance.reidentifiers, given) as r;
    for member in select login from governance.reidentifiers loop
        execute format('grant usage on schema governance to %I', member);
        execute format('grant execute on function governance.reidentify(text, text, text) to %I', member);
    end loop;
    delete from governance.readers;
    insert into governance.readers (login, publish_set, row_column, row_values, whole_tables)
    select r.login, r.publish_set, r.row_column, r.row_values, r.whole_tables
    from jsonb_populate_recordset(null::governance.readers, wanted) as r;
    foreach name in array pg_temp.as_list('warehouse.publish_sets') loop
        for member in
            select m.rolname from pg_auth_members as a inner join pg_roles as m on a.member = m.oid
            where a.roleid = to_regrole('read_' || name) and not m.rolsuper and not m.rolcreaterole
            and (is_forced or exists (select from pg_auth_members as b where b.member = m.oid and b.roleid = to_regrole('wh_readers')))
            and not exists (
                select from governance.readers as r
                where r.login = m.rolname and r.publish_set = name and r.row_column is null
            )
        loop
            execute format('revoke %I from %I', 'read_' || name, member);
        end loop;
        for member in select login from governance.readers as r where r.publish_set = name and r.row_column is null
        loop
            execute format('grant %I to %I', 'read_' || name, member);
        end loop;
        if is_forced or (
            select coalesce(jsonb_agg(to_jsonb(r) order by r.login), '[]') from governance.readers as r where r.publish_set = name
        ) is distinct from (
            select coalesce(jsonb_agg(r order by r ->> 'login'), '[]') from jsonb_array_elements(before) as r
            where r ->> 'publish_set' = name
        ) then
            foreach schema_name in array array[name, name || '__next'] loop
                perform governance.apply_access(name, schema_name);
            end loop;
        end if;
        perform governance.open_schemas(name);
    end loop;
    for member in -- a login that the file names no more
        select m.rolname from pg_auth_members as a inner join pg_roles as m on a.member = m.oid
        where a.roleid = to_regrole('wh_readers') and m.rolcanlogin and not m.rolsuper and not m.rolcreaterole
            and m.rolname <> all(pg_temp.reader_logins())
    loop
        execute format('alter role %I nologin', member);
        execute format('revoke wh_readers from %I', member);
    end loop;
end $$;

-- What readers read goes to the server's log, where this login may say so: by pgaudit the tables alone, without it the
-- statements, but never the values that are bound to them. Nobody else's statements do. docs/operations.md says more.
do $$
declare
    has_pgaudit constant boolean := exists (select from pg_settings where name = 'pgaudit.log');
    found record;
begin
    for found in
        select distinct r.login, s.name, s.value
        from governance.readers as r
        cross join (
            values
            ('log_statement', case when has_pgaudit then 'none' else 'all' end),
            ('log_parameter_max_length', '0'),
            ('log_min_messages', 'error'), -- where the server logs no errors: a refused statement is no read
            ('log_min_error_statement', 'panic'),
            ('pgaudit.log', 'read'),
            ('pgaudit.log_relation', 'on'),
            ('pgaudit.log_catalog', 'off'),
            ('pgaudit.log_statement', 'off')
        ) as s (name, value)
        where (has_pgaudit or s.name not like 'pgaudit.%') and has_parameter_privilege(s.name, 'set')
    loop
        execute format('alter role %I set %s = %L', found.login, found.name, found.value);
    end loop;
end $$;
