-- No login makes or changes large objects, which could fill the disk. Also run in Dagster's database.
do $$
declare
    routine regprocedure;
begin
    for routine in
        select p.oid from pg_proc as p
        where p.pronamespace = 'pg_catalog'::regnamespace and p.proname ~ '^(lo_|loread$|lowrite$)'
            and exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a where a.grantee = 0)
            and pg_has_role(p.proowner, 'usage')
    loop
        execute format('revoke all on function %s from public', routine);
    end loop;
end $$;
