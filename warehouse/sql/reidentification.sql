-- Re-identification: who may request it, the function, and the audit of every request.
comment on table governance.reidentifiers is
'Logins that may re-identify tokens, and how often in 24 hours, from access.yml. One row per login.';
alter table governance.reidentifiers owner to wh_owner;
grant select on governance.reidentifiers to svc_dbt;

comment on table governance.reidentifications is
'Re-identification requests, with the reason for each refusal. One row per request.';
alter table governance.reidentifications owner to wh_owner;
grant select on governance.reidentifications to svc_dbt;

-- Records a request to re-identify a token. Returns its number, or the reason for a refusal. The request is answered in a
-- later transaction (governance.reidentify), so that no answer is without its record and none escapes the daily limit.
-- What the vault contains decides nothing here: a caller who rolls back learns nothing of it.
create or replace function governance.request_reidentification(requested_token text, reason text, case_reference text)
returns table (request_id bigint, refusal text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    refused text;
    allowed integer;
    request bigint;
begin
    -- the row's lock: of two requests of one login, the second counts the first
    select r.per_day into allowed from governance.reidentifiers as r where r.login = session_user for update;
    refused := case
        when allowed is null then 'This login is not in `reidentification` of access.yml.'
        when length(trim(coalesce(reason, ''))) < 10 then 'Give a reason of at least 10 characters.'
        when trim(coalesce(case_reference, '')) = '' then 'Give a case reference.'
        when (
            select count(*) from governance.reidentifications as r
            where r.requested_by = session_user and r.refusal is null and r.requested_at > now() - interval '24 hours'
        ) >= allowed then format('The daily limit is reached: %s re-identifications in the last 24 hours.', allowed)
    end;
    insert into governance.reidentifications (requested_by, token, reason, case_reference, refusal, requested_in)
    values (
        session_user, coalesce(requested_token, ''), coalesce(reason, ''), coalesce(case_reference, ''), refused,
        pg_current_xact_id()
    ) returning reidentification_id into request;
    perform set_config('synchronous_commit', 'on', true); -- the record outlives a crash of the server
    return query select request, refused;
end $$;

-- Returns the encrypted records of the token of a committed request, which the vault key decrypts. A request is answered
-- for 15 minutes, to the login that made it.
create or replace function governance.reidentify(request bigint)
returns table (refusal text, system text, table_name text, salt bytea, encrypted bytea)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    requested_token text := (
        select r.token from governance.reidentifications as r
        where r.reidentification_id = request and r.requested_by = session_user and r.refusal is null
            and r.requested_at between now() - interval '15 minutes' and clock_timestamp()
            and pg_xact_status(r.requested_in) = 'committed'
    );
    refused text := case
        when requested_token is null then 'There is no committed request of this login with this number in the last 15 minutes.'
        when (
            select count(distinct (i.system, i.table_name, i.subject)) > count(distinct (i.system, i.table_name))
            from vault.identities as i where requested_token = any(i.tokens)
        ) then 'Several people share this token. Use a token of one person.'
    end;
begin
    if refused is not null then
        update governance.reidentifications as r set refusal = refused
        where r.reidentification_id = request and r.requested_by = session_user and requested_token is not null;
        return query select refused, null::text, null::text, null::bytea, null::bytea;
    else
        return query
            select null::text, i.system, i.table_name, k.salt, i.encrypted
            from vault.identities as i inner join vault.data_keys as k using (record_id)
            where requested_token = any(i.tokens)
            order by i.system, i.table_name, i.record_id;
    end if;
end $$;

select pg_temp.own_functions(array['request_reidentification(text, text, text)', 'reidentify(bigint)']);
