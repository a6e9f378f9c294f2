-- Readers of access.yml. Published tables change only where the readers of their set have changed.
do $$
declare
    wanted constant jsonb := coalesce(nullif(current_setting('warehouse.readers', true), ''), '[]');
    is_forced constant boolean := current_setting('warehouse.apply_access', true) = 'yes'; -- also revoke grants made by hand
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
            perform governance.apply_access(name, name);
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
