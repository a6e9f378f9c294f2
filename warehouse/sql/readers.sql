-- Readers and row scopes of access.yml. Published tables change only where the readers of their set have changed.
create or replace function pg_temp.access_to(name text) returns jsonb language sql as $$
    select jsonb_build_array(
        (select jsonb_agg(to_jsonb(r) order by r.login) from governance.readers as r where r.publish_set = name),
        (select jsonb_agg(to_jsonb(s) order by s.scope) from governance.row_scopes as s where s.publish_set = name)
    )
$$;

do $$
declare
    is_forced constant boolean := current_setting('warehouse.apply_access', true) = 'yes'; -- also revoke grants made by hand
    sets constant text[] := pg_temp.as_list('warehouse.publish_sets');
    before constant jsonb := (select coalesce(jsonb_object_agg(s, pg_temp.access_to(s)), '{}') from unnest(sets) as s);
    name text;
    member text;
    schema_name text;
    role_name text;
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
            execute format('revoke all on all functions in schema governance from %I', member);
        end if;
    end loop;
    delete from governance.reidentifiers;
    insert into governance.reidentifiers (login, per_day)
    select r.login, r.per_day
    from pg_temp.as_rows('warehouse.reidentifiers') as given
    cross join jsonb_populate_record(null::governance.reidentifiers, given) as r;
    for member in select login from governance.reidentifiers loop
        execute format('grant usage on schema governance to %I', member);
        execute format(
            'grant execute on function governance.request_reidentification(text, text, text), governance.reidentify(bigint) to %I',
            member
        );
    end loop;
    delete from governance.readers;
    insert into governance.readers (login, publish_set, scope)
    select r.login, r.publish_set, r.scope
    from pg_temp.as_rows('warehouse.readers') as given
    cross join jsonb_populate_record(null::governance.readers, given) as r;
    delete from governance.row_scopes;
    insert into governance.row_scopes
    select s.*
    from pg_temp.as_rows('warehouse.row_scopes') as given
    cross join jsonb_populate_record(null::governance.row_scopes, given) as s;
    for role_name, member in
        select g.rolname, m.rolname
        from pg_auth_members as a
        inner join pg_roles as m on a.member = m.oid
        inner join pg_roles as g on a.roleid = g.oid
        where g.rolname ~ '^(read_|wh_sizes$)' and not m.rolsuper and not m.rolcreaterole
            and (is_forced or exists (select from pg_auth_members as b where b.member = m.oid and b.roleid = to_regrole('wh_readers')))
            and not exists (select from governance.memberships() as e where e.role_name = g.rolname and e.login = m.rolname)
    loop
        execute format('revoke %I from %I', role_name, member);
    end loop;
    for role_name, member in
        select m.role_name, m.login from governance.memberships() as m where m.role_name ~ '^(read_|wh_sizes$)'
    loop
        execute format('grant %I to %I', role_name, member);
    end loop;
    foreach name in array sets loop
        if is_forced or pg_temp.access_to(name) <> before -> name then
            perform governance.drop_scopes(b.build_id), governance.apply_access(b.build_id)
            from governance.builds as b where b.schema_name = name and b.dropped_at is null;
            perform governance.close_old_builds(name);
        end if;
        perform governance.grant_schema_usage(name);
    end loop;
    for member in -- removed from access.yml
        select m.rolname from pg_auth_members as a inner join pg_roles as m on a.member = m.oid
        where a.roleid = to_regrole('wh_readers') and m.rolcanlogin and not m.rolsuper and not m.rolcreaterole
            and m.rolname <> all(pg_temp.reader_logins())
    loop
        execute format('alter role %I nologin', member);
        execute format('revoke wh_readers from %I', member);
    end loop;
end $$;
