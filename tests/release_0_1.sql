-- A database of release 0.1 with data, which tests/test_upgrade.py restores and upgrades: the schemas that
-- warehouse/setup.sql made there (commit 19190d7), two systems on trial and the publish set `highways`. The rows are
-- synthetic. Written by `pg_dump --inserts` of PostgreSQL 15, without comments; do not edit.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA governance;
ALTER SCHEMA governance OWNER TO wh_owner;
CREATE SCHEMA highways;
ALTER SCHEMA highways OWNER TO wh_owner;
CREATE SCHEMA highways__next;
ALTER SCHEMA highways__next OWNER TO wh_owner;
CREATE SCHEMA matching;
ALTER SCHEMA matching OWNER TO wh_owner;
CREATE SCHEMA quarantine;
ALTER SCHEMA quarantine OWNER TO wh_owner;
CREATE SCHEMA raw_trial;
ALTER SCHEMA raw_trial OWNER TO wh_owner;
CREATE SCHEMA raw_trial_landing;
ALTER SCHEMA raw_trial_landing OWNER TO wh_owner;
CREATE SCHEMA raw_trial_store;
ALTER SCHEMA raw_trial_store OWNER TO wh_owner;
CREATE SCHEMA raw_twin;
ALTER SCHEMA raw_twin OWNER TO wh_owner;
CREATE SCHEMA raw_twin_landing;
ALTER SCHEMA raw_twin_landing OWNER TO wh_owner;
CREATE SCHEMA raw_twin_store;
ALTER SCHEMA raw_twin_store OWNER TO wh_owner;
CREATE SCHEMA vault;
ALTER SCHEMA vault OWNER TO wh_owner;
CREATE FUNCTION governance.access_differences() RETURNS TABLE(publish_set text, difference text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
ALTER FUNCTION governance.access_differences() OWNER TO wh_owner;
CREATE FUNCTION governance.apply_access(set_name text, schema_name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
ALTER FUNCTION governance.apply_access(set_name text, schema_name text) OWNER TO wh_owner;
CREATE FUNCTION governance.begin_build(set_name text, systems text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
ALTER FUNCTION governance.begin_build(set_name text, systems text[]) OWNER TO wh_owner;
CREATE FUNCTION governance.column_changes(set_name text) RETURNS SETOF text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
ALTER FUNCTION governance.column_changes(set_name text) OWNER TO wh_owner;
CREATE FUNCTION governance.forget_previous(set_name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
ALTER FUNCTION governance.forget_previous(set_name text) OWNER TO wh_owner;
CREATE FUNCTION governance.is_administrator(login text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select exists (select from pg_roles where rolname = login and (rolsuper or rolcreaterole))
$$;
ALTER FUNCTION governance.is_administrator(login text) OWNER TO wh_owner;
CREATE FUNCTION governance.open_schemas(set_name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
ALTER FUNCTION governance.open_schemas(set_name text) OWNER TO wh_owner;
CREATE FUNCTION governance.publish(set_name text, build jsonb, approved text[]) RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
ALTER FUNCTION governance.publish(set_name text, build jsonb, approved text[]) OWNER TO wh_owner;
CREATE FUNCTION governance.record(set_name text, action text, build jsonb, problems text[], approved text[] DEFAULT '{}'::text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
ALTER FUNCTION governance.record(set_name text, action text, build jsonb, problems text[], approved text[]) OWNER TO wh_owner;
CREATE FUNCTION governance.reidentify(asked text, reason text, case_reference text) RETURNS TABLE(refusal text, system text, table_name text, salt bytea, sealed bytea)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
ALTER FUNCTION governance.reidentify(asked text, reason text, case_reference text) OWNER TO wh_owner;
CREATE FUNCTION governance.rights(set_name text, schema_name text) RETURNS TABLE(relation oid, kind "char", grantee text, condition text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
ALTER FUNCTION governance.rights(set_name text, schema_name text) OWNER TO wh_owner;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE governance.readers (
    login text NOT NULL,
    publish_set text NOT NULL,
    row_column text,
    row_values text[],
    whole_tables text[] DEFAULT '{}'::text[] NOT NULL
);
ALTER TABLE governance.readers OWNER TO wh_owner;
CREATE FUNCTION governance.row_condition(reader governance.readers) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select format('(%I = ANY (ARRAY[%s]))', reader.row_column, string_agg(quote_literal(value) || '::text', ', '))
    from unnest(reader.row_values) as value
$$;
ALTER FUNCTION governance.row_condition(reader governance.readers) OWNER TO wh_owner;
CREATE FUNCTION governance.swap(set_name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
ALTER FUNCTION governance.swap(set_name text) OWNER TO wh_owner;
CREATE FUNCTION governance.undo(set_name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pg_advisory_xact_lock(hashtext('publish ' || set_name));
    if not exists (select from governance.publish_sets where publish_set = set_name and previous_is_whole) then
        raise exception 'publish set % cannot be undone: nothing was published before, or a build has started since', set_name;
    end if;
    perform governance.swap(set_name);
    perform governance.record(set_name, 'undo', '{}', '{}');
end $$;
ALTER FUNCTION governance.undo(set_name text) OWNER TO wh_owner;
CREATE TABLE governance.acceptances (
    acceptance_id bigint NOT NULL,
    system text NOT NULL,
    table_name text NOT NULL,
    reason text NOT NULL,
    accepted_by text DEFAULT SESSION_USER NOT NULL,
    accepted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    used_by_load text,
    CONSTRAINT acceptances_reason_check CHECK ((reason <> ''::text))
);
ALTER TABLE governance.acceptances OWNER TO wh_owner;
ALTER TABLE governance.acceptances ALTER COLUMN acceptance_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME governance.acceptances_acceptance_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE governance.disposals (
    disposal_id bigint NOT NULL,
    disposed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    system text NOT NULL,
    table_name text NOT NULL,
    cause text NOT NULL,
    rows bigint NOT NULL,
    rows_held bigint DEFAULT 0 NOT NULL,
    is_out boolean DEFAULT true NOT NULL,
    CONSTRAINT disposals_cause_check CHECK ((cause = ANY (ARRAY['erasure'::text, 'retention'::text])))
);
ALTER TABLE governance.disposals OWNER TO wh_owner;
ALTER TABLE governance.disposals ALTER COLUMN disposal_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME governance.disposals_disposal_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE governance.erasures (
    erasure_id bigint NOT NULL,
    erased_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    erased_by text NOT NULL,
    case_reference text NOT NULL,
    tokens text[] NOT NULL,
    CONSTRAINT erasures_case_reference_check CHECK ((case_reference <> ''::text))
);
ALTER TABLE governance.erasures OWNER TO wh_owner;
ALTER TABLE governance.erasures ALTER COLUMN erasure_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME governance.erasures_erasure_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE governance.files (
    system text NOT NULL,
    table_name text NOT NULL,
    sha256 text NOT NULL,
    file_name text NOT NULL,
    rows_read bigint NOT NULL,
    load_id text NOT NULL,
    landed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
ALTER TABLE governance.files OWNER TO wh_owner;
CREATE TABLE governance.keys (
    version integer NOT NULL,
    fingerprint text NOT NULL,
    current_since timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
ALTER TABLE governance.keys OWNER TO wh_owner;
CREATE TABLE governance.landings (
    landing_id bigint NOT NULL,
    landed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    system text NOT NULL,
    table_name text NOT NULL,
    rows_landed bigint NOT NULL,
    version text NOT NULL,
    cut_off text NOT NULL,
    load_id text NOT NULL,
    rows_read bigint DEFAULT 0 NOT NULL,
    rows_quarantined bigint DEFAULT 0 NOT NULL,
    rows_total bigint DEFAULT 0 NOT NULL,
    new_columns text[] DEFAULT '{}'::text[] NOT NULL
);
ALTER TABLE governance.landings OWNER TO wh_owner;
ALTER TABLE governance.landings ALTER COLUMN landing_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME governance.landings_landing_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE governance.legal_holds (
    hold_id bigint NOT NULL,
    subject text NOT NULL,
    placed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    placed_by text NOT NULL,
    reason text NOT NULL,
    released_at timestamp with time zone,
    CONSTRAINT legal_holds_reason_check CHECK ((reason <> ''::text))
);
ALTER TABLE governance.legal_holds OWNER TO wh_owner;
ALTER TABLE governance.legal_holds ALTER COLUMN hold_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME governance.legal_holds_hold_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE governance.publications (
    publication_id bigint NOT NULL,
    publish_set text NOT NULL,
    action text NOT NULL,
    decided_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    decided_by text DEFAULT SESSION_USER NOT NULL,
    invocation_id text,
    models integer,
    tests_passed integer,
    tests_warned integer,
    tests_failed integer,
    loads jsonb,
    problems text[] DEFAULT '{}'::text[] NOT NULL,
    approved_changes text[] DEFAULT '{}'::text[] NOT NULL,
    CONSTRAINT publications_action_check CHECK ((action = ANY (ARRAY['publish'::text, 'refuse'::text, 'undo'::text])))
);
ALTER TABLE governance.publications OWNER TO wh_owner;
ALTER TABLE governance.publications ALTER COLUMN publication_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME governance.publications_publication_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE governance.publish_sets (
    publish_set text NOT NULL,
    previous_is_whole boolean DEFAULT false NOT NULL,
    candidate jsonb,
    loads jsonb
);
ALTER TABLE governance.publish_sets OWNER TO wh_owner;
CREATE TABLE governance.reidentifications (
    reidentification_id bigint NOT NULL,
    asked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    asked_by text NOT NULL,
    token text NOT NULL,
    reason text NOT NULL,
    case_reference text NOT NULL,
    refusal text
);
ALTER TABLE governance.reidentifications OWNER TO wh_owner;
ALTER TABLE governance.reidentifications ALTER COLUMN reidentification_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME governance.reidentifications_reidentification_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE governance.reidentifiers (
    login text NOT NULL,
    per_day integer NOT NULL
);
ALTER TABLE governance.reidentifiers OWNER TO wh_owner;
CREATE TABLE highways.fct_one (
    amount bigint
);
ALTER TABLE highways.fct_one OWNER TO svc_dbt;
CREATE TABLE highways__next.fct_one (
    amount integer
);
ALTER TABLE highways__next.fct_one OWNER TO svc_dbt;
CREATE TABLE matching.decisions (
    decision_id bigint NOT NULL,
    one text NOT NULL,
    other text NOT NULL,
    is_same boolean NOT NULL,
    reason text NOT NULL,
    decided_by text NOT NULL,
    decided_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    withdrawn_at timestamp with time zone
);
ALTER TABLE matching.decisions OWNER TO wh_owner;
ALTER TABLE matching.decisions ALTER COLUMN decision_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME matching.decisions_decision_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE matching.pairs (
    one text NOT NULL,
    other text NOT NULL,
    match_probability double precision NOT NULL
);
ALTER TABLE matching.pairs OWNER TO wh_owner;
CREATE TABLE matching.person_records (
    system text NOT NULL,
    subject text NOT NULL,
    person_id uuid NOT NULL,
    matched_by text NOT NULL,
    match_probability double precision,
    valid_from timestamp with time zone DEFAULT now() NOT NULL,
    valid_to timestamp with time zone,
    CONSTRAINT person_records_matched_by_check CHECK ((matched_by = ANY (ARRAY['alone'::text, 'number'::text, 'likeness'::text, 'steward'::text])))
);
ALTER TABLE matching.person_records OWNER TO wh_owner;
CREATE TABLE quarantine.rows (
    row_id bigint NOT NULL,
    system text NOT NULL,
    table_name text NOT NULL,
    rule text NOT NULL,
    column_name text,
    key text,
    file_name text,
    row_number bigint,
    content json NOT NULL,
    load_id text NOT NULL,
    quarantined_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    resolved_at timestamp with time zone,
    resolution text
);
ALTER TABLE quarantine.rows OWNER TO wh_owner;
ALTER TABLE quarantine.rows ALTER COLUMN row_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME quarantine.rows_row_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE raw_trial_store.people (
    person_no text,
    nhs_no text,
    nhs_no_fault text,
    surname text,
    surname_fault text,
    born text,
    born_fault text,
    born_month text,
    need text,
    valid_from timestamp with time zone,
    valid_to timestamp with time zone
);
ALTER TABLE raw_trial_store.people OWNER TO svc_loader;
CREATE VIEW raw_trial.people AS
 SELECT people.person_no,
    people.nhs_no,
    people.nhs_no_fault,
    people.surname,
    people.surname_fault,
    people.born,
    people.born_fault,
    people.born_month,
    people.need,
    people.valid_from,
    people.valid_to
   FROM raw_trial_store.people;
ALTER TABLE raw_trial.people OWNER TO svc_loader;
CREATE TABLE raw_twin_store.visits (
    visit_no bigint,
    nhs text,
    nhs_fault text,
    visited_at timestamp with time zone,
    note text
);
ALTER TABLE raw_twin_store.visits OWNER TO svc_loader;
CREATE VIEW raw_twin.visits AS
 SELECT visits.visit_no,
    visits.nhs,
    visits.nhs_fault,
    visits.visited_at,
    visits.note
   FROM raw_twin_store.visits;
ALTER TABLE raw_twin.visits OWNER TO svc_loader;
CREATE TABLE vault.data_keys (
    record bytea NOT NULL,
    salt bytea NOT NULL
);
ALTER TABLE vault.data_keys OWNER TO wh_owner;
CREATE TABLE vault.identities (
    system text NOT NULL,
    table_name text NOT NULL,
    record bytea NOT NULL,
    subject text NOT NULL,
    tokens text[] NOT NULL,
    sealed bytea NOT NULL,
    load_id text NOT NULL,
    landed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
ALTER TABLE vault.identities OWNER TO wh_owner;
INSERT INTO governance.acceptances OVERRIDING SYSTEM VALUE VALUES (1, 'raw_twin', 'visits', 'closed service', 'officer', '2026-11-29 20:41:26.190697+00', NULL);
INSERT INTO governance.disposals OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-29 20:41:26.167512+00', 'raw_twin', 'visits', 'retention', 0, 1, true);
INSERT INTO governance.erasures OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-29 20:41:26.146159+00', 'officer', 'IG-9', '{k1_gone}');
INSERT INTO governance.files VALUES ('raw_trial', 'people', 'abc', 'people.csv', 5, '1', '2026-11-29 20:41:26.210391+00');
INSERT INTO governance.keys VALUES (1, 'de51b99188884b12', '2026-11-29 20:41:21.274083+00');
INSERT INTO governance.landings OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-29 20:41:22.860053+00', 'raw_trial', 'people', 4, 'be3e2b6da011 15fc4e8911491d0a35176e18aee6c427129ed480121738e1eed3578cf018d1d1', '2026-11-29T20:41:21+00:00', '1795984882.2816126', 5, 1, 4, '{}');
INSERT INTO governance.landings OVERRIDING SYSTEM VALUE VALUES (2, '2026-11-29 20:41:23.703566+00', 'raw_twin', 'visits', 3, '94c51b2720ad 1795984883.1593406', '2026-02-05 10:00:00+00:00', '1795984883.1593406', 3, 0, 3, '{}');
INSERT INTO governance.legal_holds OVERRIDING SYSTEM VALUE VALUES (1, 'k1_1aae9ee0e668aa8f574ab54205ff9064', '2026-11-29 20:41:26.11481+00', 'officer', 'proceedings', NULL);
INSERT INTO governance.legal_holds OVERRIDING SYSTEM VALUE VALUES (2, 'k1_34bf0e6a6ef3e44e941e544dd72c2874', '2026-11-29 20:41:26.11497+00', 'officer', 'proceedings', NULL);
INSERT INTO governance.publications OVERRIDING SYSTEM VALUE VALUES (1, 'highways', 'publish', '2026-11-29 20:41:26.266966+00', 'postgres', NULL, 1, 3, NULL, NULL, NULL, '{}', '{fct_one}');
INSERT INTO governance.publications OVERRIDING SYSTEM VALUE VALUES (2, 'highways', 'publish', '2026-11-29 20:41:26.362711+00', 'postgres', NULL, 1, 3, NULL, NULL, NULL, '{}', '{fct_one}');
INSERT INTO governance.publications OVERRIDING SYSTEM VALUE VALUES (3, 'highways', 'undo', '2026-11-29 20:41:26.402992+00', 'postgres', NULL, NULL, NULL, NULL, NULL, NULL, '{}', '{}');
INSERT INTO governance.publications OVERRIDING SYSTEM VALUE VALUES (4, 'highways', 'undo', '2026-11-29 20:41:26.404508+00', 'postgres', NULL, NULL, NULL, NULL, NULL, NULL, '{}', '{}');
INSERT INTO governance.publications OVERRIDING SYSTEM VALUE VALUES (5, 'finance', 'refuse', '2026-11-29 20:41:26.455982+00', 'postgres', NULL, 1, NULL, NULL, NULL, NULL, '{"test x failed"}', '{}');
INSERT INTO governance.publish_sets VALUES ('adult_care', false, NULL, NULL);
INSERT INTO governance.publish_sets VALUES ('children', false, NULL, NULL);
INSERT INTO governance.publish_sets VALUES ('citizen', false, NULL, NULL);
INSERT INTO governance.publish_sets VALUES ('customer', false, NULL, NULL);
INSERT INTO governance.publish_sets VALUES ('education', false, NULL, NULL);
INSERT INTO governance.publish_sets VALUES ('finance', false, NULL, NULL);
INSERT INTO governance.publish_sets VALUES ('libraries', false, NULL, NULL);
INSERT INTO governance.publish_sets VALUES ('quality', false, NULL, NULL);
INSERT INTO governance.publish_sets VALUES ('usage', false, NULL, NULL);
INSERT INTO governance.publish_sets VALUES ('workforce', false, NULL, NULL);
INSERT INTO governance.publish_sets VALUES ('highways', true, NULL, NULL);
INSERT INTO governance.readers VALUES ('pbi_adult_care', 'adult_care', NULL, NULL, '{}');
INSERT INTO governance.readers VALUES ('pbi_adult_care_open', 'adult_care', 'restriction', '{open}', '{dim_dates,dim_primary_support_reasons}');
INSERT INTO governance.readers VALUES ('pbi_citizen', 'citizen', NULL, NULL, '{}');
INSERT INTO governance.readers VALUES ('pbi_citizen_open', 'citizen', 'restriction', '{open}', '{}');
INSERT INTO governance.readers VALUES ('pbi_education', 'education', NULL, NULL, '{}');
INSERT INTO governance.readers VALUES ('pbi_children', 'children', NULL, NULL, '{}');
INSERT INTO governance.readers VALUES ('pbi_customer', 'customer', NULL, NULL, '{}');
INSERT INTO governance.readers VALUES ('pbi_finance', 'finance', NULL, NULL, '{}');
INSERT INTO governance.readers VALUES ('pbi_highways', 'highways', NULL, NULL, '{}');
INSERT INTO governance.readers VALUES ('pbi_highways_redditch', 'highways', 'district_code', '{E07000236}', '{dim_dates}');
INSERT INTO governance.readers VALUES ('pbi_highways_wyre_valleys', 'highways', 'district_code', '{E07000234,E07000239}', '{dim_dates}');
INSERT INTO governance.readers VALUES ('pbi_libraries', 'libraries', NULL, NULL, '{}');
INSERT INTO governance.readers VALUES ('pbi_data_quality', 'quality', NULL, NULL, '{}');
INSERT INTO governance.readers VALUES ('pbi_information_governance', 'usage', NULL, NULL, '{}');
INSERT INTO governance.readers VALUES ('pbi_workforce', 'workforce', NULL, NULL, '{}');
INSERT INTO governance.reidentifications OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-29 20:41:26.557067+00', 'ig_caseworker', 'k1_1aae9ee0e668aa8f574ab54205ff9064', 'a reason in words', 'IG-1', NULL);
INSERT INTO governance.reidentifiers VALUES ('ig_caseworker', 20);
INSERT INTO highways.fct_one VALUES (1);
INSERT INTO highways__next.fct_one VALUES (1);
INSERT INTO matching.decisions OVERRIDING SYSTEM VALUE VALUES (1, 'k1_1e5a13612f869af1adc652b4a44c7a3f', 'k1_34bf0e6a6ef3e44e941e544dd72c2874', false, 'two neighbours', 'steward', '2026-11-29 20:41:26.142494+00', NULL);
INSERT INTO matching.person_records VALUES ('raw_trial', 'k1_1e5a13612f869af1adc652b4a44c7a3f', '601fbb51-b1df-457f-8852-d3cacd0dcaa1', 'alone', NULL, '2026-11-29 20:41:23.809195+00', NULL);
INSERT INTO matching.person_records VALUES ('raw_trial', 'k1_34bf0e6a6ef3e44e941e544dd72c2874', '6ccfd39c-34c6-4ce1-8494-6d9e32caea1c', 'alone', NULL, '2026-11-29 20:41:23.809195+00', NULL);
INSERT INTO matching.person_records VALUES ('raw_trial', 'k1_91e4efaf4d49c61c435cf5a1db0223d8', '4807f229-9190-434a-b023-822c385bdb0a', 'alone', NULL, '2026-11-29 20:41:23.809195+00', NULL);
INSERT INTO matching.person_records VALUES ('raw_trial', 'k1_9af049da85b7295188d8715d24635366', '869018e7-5652-425e-817e-cc3a4bf307ef', 'alone', NULL, '2026-11-29 20:41:23.809195+00', NULL);
INSERT INTO quarantine.rows OVERRIDING SYSTEM VALUE VALUES (1, 'raw_trial', 'people', 'not bigint', 'person_no', 'k1_86c038ea19ed462c951d06043f3e8e3d', NULL, NULL, '{"_salt": "w8toJXA/ptzXUd/iLssjMw==", "_sealed": "+iZ/s1dpqcFSFKPDquSwyZvoeqQ2Txt4NVMduwJM8NobxHQgTdxgl6UM4PcdTQiX1aqsuXheVfeeluDwTueeesyvneLc5cPkV9k3wRC6vPkTmfob8zulrezfDwx2CIPPkOBCpxSYpA=="}', '1795984882.2816126', '2026-11-29 20:41:22.858782+00', NULL, NULL);
INSERT INTO raw_trial_store.people VALUES ('k1_34bf0e6a6ef3e44e941e544dd72c2874', 'k1_1aae9ee0e668aa8f574ab54205ff9064', NULL, 'k1_52a63b60ea084d825401fae22f4e3f77', NULL, 'k1_f96dc54ce31bb6f820a303197b449bf7', NULL, '1971-03-01', 'a', '2026-11-29 20:41:21.947726+00', NULL);
INSERT INTO raw_trial_store.people VALUES ('k1_91e4efaf4d49c61c435cf5a1db0223d8', 'k1_46b1c39d22d79bfcb6f30db7a5ac0524', NULL, 'k1_9a39fe251fcaf062d638047bf2eb33a9', NULL, 'k1_de95c97ee7d27613a740ac47efc51ca3', NULL, '1948-11-01', 'b', '2026-11-29 20:41:21.947726+00', NULL);
INSERT INTO raw_trial_store.people VALUES ('k1_1e5a13612f869af1adc652b4a44c7a3f', NULL, NULL, 'k1_8f1f56c79cb9bd0de925661282e88987', NULL, 'k1_7dd60956c217324d9959dca7f81746f8', NULL, '2012-05-01', 'c', '2026-11-29 20:41:21.947726+00', NULL);
INSERT INTO raw_trial_store.people VALUES ('k1_9af049da85b7295188d8715d24635366', NULL, NULL, 'k1_63cf2c095388e59c597beab32a2178d9', NULL, 'k1_80305abeb7d588cbd9b5c579864d18e5', NULL, '1955-08-01', 'd', '2026-11-29 20:41:21.947726+00', NULL);
INSERT INTO raw_twin_store.visits VALUES (1, 'k1_1aae9ee0e668aa8f574ab54205ff9064', NULL, '2026-01-05 10:00:00+00', 'first');
INSERT INTO raw_twin_store.visits VALUES (2, 'k1_46b1c39d22d79bfcb6f30db7a5ac0524', NULL, '2026-02-05 10:00:00+00', 'second');
INSERT INTO raw_twin_store.visits VALUES (3, 'k1_1aae9ee0e668aa8f574ab54205ff9064', NULL, '2010-01-01 00:00:00+00', 'old');
INSERT INTO vault.data_keys VALUES ('\x8afefbd7ab744d49f5074ff6d3de9f69', '\xd37486bb056ae1b0b3825214b8aea527');
INSERT INTO vault.data_keys VALUES ('\xa0ba95f1c8d74987c5bfada91f19ee8d', '\x95864bba726480f85ef6c75370899314');
INSERT INTO vault.data_keys VALUES ('\xc9fbd5c51b6d911a2c54a9efdc6ed327', '\xc574e1676957bca0f4512a612f49cfe5');
INSERT INTO vault.data_keys VALUES ('\xf424ce701cee17aa614184817e0cb0d1', '\x14fdd20f66c905a5cb7d5eb50d7f6d0e');
INSERT INTO vault.data_keys VALUES ('\x25f48ed08554295e576de7f024f84bd0', '\x17ad083f41456f5ba807408ac02a3076');
INSERT INTO vault.data_keys VALUES ('\xf8a0619a8a0b1107bcbcc283b8495541', '\xfde0f3c4d81201b6bfdecc0d8c699909');
INSERT INTO vault.identities VALUES ('raw_trial', 'people', '\x8afefbd7ab744d49f5074ff6d3de9f69', 'k1_1e5a13612f869af1adc652b4a44c7a3f', '{k1_1e5a13612f869af1adc652b4a44c7a3f,NULL,k1_8f1f56c79cb9bd0de925661282e88987,k1_7dd60956c217324d9959dca7f81746f8}', '\xe911271aec46547d006096d6d86a09703f284a03d22496dc706ad4f09bd855634eb3e9fd593d252bea20dfcb45f1bfe85b9f88178397485828fbba73107ed11ea666736b8b5ae1698046', '1795984882.2816126', '2026-11-29 20:41:22.852225+00');
INSERT INTO vault.identities VALUES ('raw_trial', 'people', '\xa0ba95f1c8d74987c5bfada91f19ee8d', 'k1_9af049da85b7295188d8715d24635366', '{k1_9af049da85b7295188d8715d24635366,NULL,k1_63cf2c095388e59c597beab32a2178d9,k1_80305abeb7d588cbd9b5c579864d18e5}', '\xcca6909a740ef78dba1f0b4a9ce9b1052d77b5b24d7429c040b63c35902bf6d1c5891b8ea3bc29771cc33bbbc5d3a78f94d8eddd85f2ce0eb637aacc18cee0fe891bf89dbc993992', '1795984882.2816126', '2026-11-29 20:41:22.85235+00');
INSERT INTO vault.identities VALUES ('raw_trial', 'people', '\xc9fbd5c51b6d911a2c54a9efdc6ed327', 'k1_91e4efaf4d49c61c435cf5a1db0223d8', '{k1_91e4efaf4d49c61c435cf5a1db0223d8,k1_46b1c39d22d79bfcb6f30db7a5ac0524,k1_9a39fe251fcaf062d638047bf2eb33a9,k1_de95c97ee7d27613a740ac47efc51ca3}', '\xa4ac184c31f9f62e27f1b46227c499321703678a4e066a65c0d02fdfab940254ed1abe295129bb01a2d524b920bb458213631bc9e70182a8907aafe9d083773f56a931d48dc4df5d8bda503ac0879598', '1795984882.2816126', '2026-11-29 20:41:22.852365+00');
INSERT INTO vault.identities VALUES ('raw_trial', 'people', '\xf424ce701cee17aa614184817e0cb0d1', 'k1_34bf0e6a6ef3e44e941e544dd72c2874', '{k1_34bf0e6a6ef3e44e941e544dd72c2874,k1_1aae9ee0e668aa8f574ab54205ff9064,k1_52a63b60ea084d825401fae22f4e3f77,k1_f96dc54ce31bb6f820a303197b449bf7}', '\x9ca36a85363d654dcce6e0afd2a391cf26156adebd4f7ec4bc030763f2b938fdc03404fc7284722f334e54a651a482f12546d28f9c2d60b1a378ee7921693a1c47e6bcddfb8f170c705ac01d4c3e0f9f4acba6', '1795984882.2816126', '2026-11-29 20:41:22.85237+00');
INSERT INTO vault.identities VALUES ('raw_twin', 'visits', '\x25f48ed08554295e576de7f024f84bd0', 'k1_46b1c39d22d79bfcb6f30db7a5ac0524', '{k1_46b1c39d22d79bfcb6f30db7a5ac0524}', '\xe0dc5394872a9f022cdf93126597b2472100ba7a9efda506da7e23f742bf75', '1795984883.1593406', '2026-11-29 20:41:23.689357+00');
INSERT INTO vault.identities VALUES ('raw_twin', 'visits', '\xf8a0619a8a0b1107bcbcc283b8495541', 'k1_1aae9ee0e668aa8f574ab54205ff9064', '{k1_1aae9ee0e668aa8f574ab54205ff9064}', '\x991869ffaadcb536f94497e045f28ff0ec19752a0b837aa3b8e45c20fe04dc', '1795984883.1593406', '2026-11-29 20:41:23.689407+00');
SELECT pg_catalog.setval('governance.acceptances_acceptance_id_seq', 1, true);
SELECT pg_catalog.setval('governance.disposals_disposal_id_seq', 1, true);
SELECT pg_catalog.setval('governance.erasures_erasure_id_seq', 1, true);
SELECT pg_catalog.setval('governance.landings_landing_id_seq', 2, true);
SELECT pg_catalog.setval('governance.legal_holds_hold_id_seq', 2, true);
SELECT pg_catalog.setval('governance.publications_publication_id_seq', 5, true);
SELECT pg_catalog.setval('governance.reidentifications_reidentification_id_seq', 1, true);
SELECT pg_catalog.setval('matching.decisions_decision_id_seq', 1, true);
SELECT pg_catalog.setval('quarantine.rows_row_id_seq', 1, true);
ALTER TABLE ONLY governance.acceptances
    ADD CONSTRAINT acceptances_pkey PRIMARY KEY (acceptance_id);
ALTER TABLE ONLY governance.disposals
    ADD CONSTRAINT disposals_pkey PRIMARY KEY (disposal_id);
ALTER TABLE ONLY governance.erasures
    ADD CONSTRAINT erasures_pkey PRIMARY KEY (erasure_id);
ALTER TABLE ONLY governance.files
    ADD CONSTRAINT files_pkey PRIMARY KEY (system, table_name, sha256);
ALTER TABLE ONLY governance.keys
    ADD CONSTRAINT keys_pkey PRIMARY KEY (version);
ALTER TABLE ONLY governance.landings
    ADD CONSTRAINT landings_pkey PRIMARY KEY (landing_id);
ALTER TABLE ONLY governance.legal_holds
    ADD CONSTRAINT legal_holds_pkey PRIMARY KEY (hold_id);
ALTER TABLE ONLY governance.publications
    ADD CONSTRAINT publications_pkey PRIMARY KEY (publication_id);
ALTER TABLE ONLY governance.publish_sets
    ADD CONSTRAINT publish_sets_pkey PRIMARY KEY (publish_set);
ALTER TABLE ONLY governance.readers
    ADD CONSTRAINT readers_pkey PRIMARY KEY (login, publish_set);
ALTER TABLE ONLY governance.reidentifications
    ADD CONSTRAINT reidentifications_pkey PRIMARY KEY (reidentification_id);
ALTER TABLE ONLY governance.reidentifiers
    ADD CONSTRAINT reidentifiers_pkey PRIMARY KEY (login);
ALTER TABLE ONLY matching.decisions
    ADD CONSTRAINT decisions_pkey PRIMARY KEY (decision_id);
ALTER TABLE ONLY quarantine.rows
    ADD CONSTRAINT rows_pkey PRIMARY KEY (row_id);
ALTER TABLE ONLY vault.data_keys
    ADD CONSTRAINT data_keys_pkey PRIMARY KEY (record);
ALTER TABLE ONLY vault.identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (record);
CREATE INDEX landings_latest ON governance.landings USING btree (system, table_name, landing_id);
CREATE UNIQUE INDEX person_records_current ON matching.person_records USING btree (system, subject) WHERE (valid_to IS NULL);
CREATE INDEX person_records_person ON matching.person_records USING btree (person_id);
CREATE INDEX person_records_subject ON matching.person_records USING btree (subject);
CREATE INDEX rows_open ON quarantine.rows USING btree (system, table_name) WHERE (resolved_at IS NULL);
CREATE UNIQUE INDEX people_key ON raw_trial_store.people USING btree (person_no, valid_from);
CREATE UNIQUE INDEX visits_key ON raw_twin_store.visits USING btree (visit_no);
ALTER TABLE highways.fct_one ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_highways ON highways.fct_one FOR SELECT TO read_highways USING (true);
ALTER TABLE highways__next.fct_one ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_highways ON highways__next.fct_one FOR SELECT TO read_highways USING (true);
GRANT USAGE ON SCHEMA governance TO svc_loader;
GRANT USAGE ON SCHEMA governance TO svc_dbt;
GRANT USAGE ON SCHEMA governance TO svc_match;
GRANT USAGE ON SCHEMA governance TO ig_caseworker;
GRANT ALL ON SCHEMA highways TO svc_dbt;
GRANT USAGE ON SCHEMA highways TO read_highways;
GRANT USAGE ON SCHEMA highways TO pbi_highways_redditch;
GRANT USAGE ON SCHEMA highways TO pbi_highways_wyre_valleys;
GRANT ALL ON SCHEMA highways__next TO svc_dbt;
GRANT USAGE ON SCHEMA matching TO svc_loader;
GRANT USAGE ON SCHEMA matching TO svc_dbt;
GRANT USAGE ON SCHEMA matching TO svc_match;
GRANT USAGE ON SCHEMA quarantine TO svc_loader;
GRANT USAGE ON SCHEMA quarantine TO svc_dbt;
GRANT ALL ON SCHEMA raw_trial TO svc_loader;
GRANT USAGE ON SCHEMA raw_trial TO svc_dbt;
GRANT ALL ON SCHEMA raw_trial_landing TO svc_loader;
GRANT ALL ON SCHEMA raw_trial_store TO svc_loader;
GRANT ALL ON SCHEMA raw_twin TO svc_loader;
GRANT USAGE ON SCHEMA raw_twin TO svc_dbt;
GRANT ALL ON SCHEMA raw_twin_landing TO svc_loader;
GRANT ALL ON SCHEMA raw_twin_store TO svc_loader;
GRANT USAGE ON SCHEMA vault TO svc_loader;
GRANT USAGE ON SCHEMA vault TO svc_match;
REVOKE ALL ON FUNCTION governance.access_differences() FROM PUBLIC;
GRANT ALL ON FUNCTION governance.access_differences() TO svc_dbt;
REVOKE ALL ON FUNCTION governance.apply_access(set_name text, schema_name text) FROM PUBLIC;
REVOKE ALL ON FUNCTION governance.begin_build(set_name text, systems text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION governance.begin_build(set_name text, systems text[]) TO svc_dbt;
REVOKE ALL ON FUNCTION governance.column_changes(set_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION governance.column_changes(set_name text) TO svc_dbt;
REVOKE ALL ON FUNCTION governance.forget_previous(set_name text) FROM PUBLIC;
REVOKE ALL ON FUNCTION governance.is_administrator(login text) FROM PUBLIC;
GRANT ALL ON FUNCTION governance.is_administrator(login text) TO svc_dbt;
REVOKE ALL ON FUNCTION governance.open_schemas(set_name text) FROM PUBLIC;
REVOKE ALL ON FUNCTION governance.publish(set_name text, build jsonb, approved text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION governance.publish(set_name text, build jsonb, approved text[]) TO svc_dbt;
REVOKE ALL ON FUNCTION governance.record(set_name text, action text, build jsonb, problems text[], approved text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION governance.record(set_name text, action text, build jsonb, problems text[], approved text[]) TO svc_dbt;
REVOKE ALL ON FUNCTION governance.reidentify(asked text, reason text, case_reference text) FROM PUBLIC;
GRANT ALL ON FUNCTION governance.reidentify(asked text, reason text, case_reference text) TO ig_caseworker;
REVOKE ALL ON FUNCTION governance.rights(set_name text, schema_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION governance.rights(set_name text, schema_name text) TO svc_dbt;
GRANT SELECT ON TABLE governance.readers TO svc_dbt;
REVOKE ALL ON FUNCTION governance.row_condition(reader governance.readers) FROM PUBLIC;
GRANT ALL ON FUNCTION governance.row_condition(reader governance.readers) TO svc_dbt;
REVOKE ALL ON FUNCTION governance.swap(set_name text) FROM PUBLIC;
REVOKE ALL ON FUNCTION governance.undo(set_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION governance.undo(set_name text) TO svc_dbt;
GRANT SELECT,UPDATE ON TABLE governance.acceptances TO svc_loader;
GRANT SELECT,INSERT ON TABLE governance.acceptances TO svc_dbt;
GRANT SELECT ON TABLE governance.disposals TO svc_dbt;
GRANT SELECT,INSERT ON TABLE governance.disposals TO svc_loader;
GRANT UPDATE(is_out) ON TABLE governance.disposals TO svc_loader;
GRANT SELECT ON TABLE governance.erasures TO svc_dbt;
GRANT SELECT ON TABLE governance.erasures TO svc_loader;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE governance.files TO svc_loader;
GRANT SELECT ON TABLE governance.files TO svc_dbt;
GRANT SELECT ON TABLE governance.keys TO svc_loader;
GRANT SELECT ON TABLE governance.keys TO svc_dbt;
GRANT SELECT ON TABLE governance.keys TO svc_match;
GRANT SELECT,INSERT ON TABLE governance.landings TO svc_loader;
GRANT SELECT ON TABLE governance.landings TO svc_dbt;
GRANT SELECT ON TABLE governance.legal_holds TO svc_dbt;
GRANT SELECT ON TABLE governance.legal_holds TO svc_loader;
GRANT SELECT ON TABLE governance.publications TO svc_dbt;
GRANT SELECT ON TABLE governance.publish_sets TO svc_dbt;
GRANT SELECT ON TABLE governance.reidentifications TO svc_dbt;
GRANT SELECT ON TABLE governance.reidentifiers TO svc_dbt;
GRANT SELECT ON TABLE highways.fct_one TO read_highways;
GRANT SELECT ON TABLE highways__next.fct_one TO read_highways;
GRANT SELECT ON TABLE matching.decisions TO svc_match;
GRANT DELETE ON TABLE matching.decisions TO svc_loader;
GRANT SELECT(one) ON TABLE matching.decisions TO svc_loader;
GRANT SELECT(other) ON TABLE matching.decisions TO svc_loader;
GRANT SELECT,INSERT,DELETE ON TABLE matching.pairs TO svc_match;
GRANT DELETE ON TABLE matching.pairs TO svc_loader;
GRANT SELECT(one) ON TABLE matching.pairs TO svc_loader;
GRANT SELECT(other) ON TABLE matching.pairs TO svc_loader;
GRANT SELECT,INSERT,UPDATE ON TABLE matching.person_records TO svc_match;
GRANT SELECT ON TABLE matching.person_records TO svc_dbt;
GRANT DELETE ON TABLE matching.person_records TO svc_loader;
GRANT SELECT(subject) ON TABLE matching.person_records TO svc_loader;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE quarantine.rows TO svc_loader;
GRANT SELECT(row_id) ON TABLE quarantine.rows TO svc_dbt;
GRANT SELECT(system) ON TABLE quarantine.rows TO svc_dbt;
GRANT SELECT(table_name) ON TABLE quarantine.rows TO svc_dbt;
GRANT SELECT(rule) ON TABLE quarantine.rows TO svc_dbt;
GRANT SELECT(column_name) ON TABLE quarantine.rows TO svc_dbt;
GRANT SELECT(key) ON TABLE quarantine.rows TO svc_dbt;
GRANT SELECT(file_name) ON TABLE quarantine.rows TO svc_dbt;
GRANT SELECT(row_number) ON TABLE quarantine.rows TO svc_dbt;
GRANT SELECT(load_id) ON TABLE quarantine.rows TO svc_dbt;
GRANT SELECT(quarantined_at) ON TABLE quarantine.rows TO svc_dbt;
GRANT SELECT(resolved_at) ON TABLE quarantine.rows TO svc_dbt;
GRANT SELECT(resolution) ON TABLE quarantine.rows TO svc_dbt;
GRANT SELECT ON TABLE raw_trial.people TO svc_dbt;
GRANT SELECT ON TABLE raw_twin.visits TO svc_dbt;
GRANT INSERT,DELETE ON TABLE vault.data_keys TO svc_loader;
GRANT SELECT ON TABLE vault.data_keys TO svc_match;
GRANT SELECT(record) ON TABLE vault.data_keys TO svc_loader;
GRANT INSERT,DELETE ON TABLE vault.identities TO svc_loader;
GRANT SELECT ON TABLE vault.identities TO svc_match;
GRANT SELECT(system) ON TABLE vault.identities TO svc_loader;
GRANT SELECT(table_name) ON TABLE vault.identities TO svc_loader;
GRANT SELECT(record) ON TABLE vault.identities TO svc_loader;
GRANT SELECT(subject) ON TABLE vault.identities TO svc_loader;
GRANT SELECT(tokens) ON TABLE vault.identities TO svc_loader;
ALTER DEFAULT PRIVILEGES FOR ROLE svc_loader IN SCHEMA raw_trial GRANT SELECT ON TABLES  TO svc_dbt;
ALTER DEFAULT PRIVILEGES FOR ROLE svc_loader IN SCHEMA raw_twin GRANT SELECT ON TABLES  TO svc_dbt;
