-- Locks of loads, builds and matching: tables of governance, on which readers have no right.
comment on table governance.raw_tables_lock is
'Locked in share mode while a load commits or matching runs, and in exclusive mode while a build reads the raw tables. No '
'rows.';
comment on table governance.matching_lock is 'Locked in exclusive mode while people are matched. No rows.';
comment on table governance.load_locks is 'Locked while a system loads. One row per system.';

-- Returns the sessions, other than this one, that hold a lock on a table: login, program and process id.
create or replace function governance.lock_holders(locked regclass) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(string_agg(distinct format('%s (%s, process %s)', a.usename, a.application_name, l.pid), ', '), 'nobody')
    from pg_locks as l inner join pg_stat_activity as a on l.pid = a.pid
    where l.locktype = 'relation' and l.relation = locked and l.granted and l.pid <> pg_backend_pid()
        and l.database = (select oid from pg_database where datname = current_database())
        and l.mode in ('ShareLock', 'ExclusiveLock')
$$;

-- Takes a lock (raw_tables or matching) until the end of the transaction. Raises lock_not_available, with the holder,
-- when another session does not release it in time.
create or replace function governance.take_lock(
    lock_name text, is_exclusive boolean, patience interval default '1 hour'
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = 0 as $$
declare
    locked constant text := format('governance.%I', lock_name || '_lock');
begin
    perform set_config('lock_timeout', ceil(1000 * extract(epoch from patience))::text, true);
    execute format('lock table %s in %s mode', locked, case when is_exclusive then 'exclusive' else 'share' end);
exception when lock_not_available then
    raise exception 'Waited % for the lock of %, which is held by %. Try again later.',
        patience, replace(lock_name, '_', ' '), governance.lock_holders(locked::regclass)
        using errcode = 'lock_not_available';
end $$;

-- Takes the lock of a system's loads until the end of the transaction. Returns whether no other session holds it.
create or replace function governance.take_load_lock(system_name text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform from governance.load_locks where system = system_name for update nowait;
    if not found then
        raise exception 'There is no system %. Run `warehouse access apply`, which adds new systems.', system_name;
    end if;
    return true;
exception when lock_not_available then
    return false;
end $$;

-- Returns whether a session holds the lock of builds.
create or replace function governance.holds_build_lock(session_pid integer) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select exists (
        select from pg_locks
        where locktype = 'relation' and relation = 'governance.raw_tables_lock'::regclass and granted
            and database = (select oid from pg_database where datname = current_database())
            and mode = 'ExclusiveLock' and pid = session_pid
    )
$$;

select pg_temp.own_functions(array['lock_holders(regclass)', 'holds_build_lock(integer)']);
select pg_temp.own_functions(array['take_lock(text, boolean, interval)'], '{svc_loader, svc_dbt, svc_match}');
select pg_temp.own_functions(array['take_load_lock(text)'], '{svc_loader}');
