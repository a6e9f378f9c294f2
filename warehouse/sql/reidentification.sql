-- Re-identification: who may request it, the function, and the audit of every request.
comment on table governance.reidentifiers is
'Logins that may re-identify tokens, and how often in 24 hours, from access.yml. One row per login.';
alter table governance.reidentifiers owner to wh_owner;
grant select on governance.reidentifiers to svc_dbt;

comment on table governance.reidentifications is
'Re-identification requests, with the reason for each refusal. One row per request.';
alter table governance.reidentifications owner to wh_owner;
grant select on governance.reidentifications to svc_dbt;

-- Returns the encrypted records of a token, which the vault key decrypts. Every request is audited.
create or replace function governance.reidentify(requested_token text, reason text, case_reference text)
returns table (refusal text, system text, table_name text, salt bytea, encrypted bytea)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    refused text;
    allowed integer;
begin
    perform pg_advisory_xact_lock(hashtext('reidentify ' || session_user));
    select r.per_day into allowed from governance.reidentifiers as r where r.login = session_user;
    refused := case
        when allowed is null then 'This login is not in `reidentification` of access.yml.'
        when length(trim(coalesce(reason, ''))) < 10 then 'Give a reason of at least 10 characters.'
        when trim(coalesce(case_reference, '')) = '' then 'Give a case reference.'
        when (
            select count(*) from governance.reidentifications as r
            where r.requested_by = session_user and r.refusal is null and r.requested_at > now() - interval '24 hours'
        ) >= allowed then format('The daily limit is reached: %s re-identifications in the last 24 hours.', allowed)
        when exists (
            select from vault.identities as i where requested_token = any(i.tokens)
            group by i.system, i.table_name having count(distinct i.subject) > 1
        ) then 'Several people share this token. Use a token of one person.'
    end;
    insert into governance.reidentifications (requested_by, token, reason, case_reference, refusal)
    values (session_user, coalesce(requested_token, ''), coalesce(reason, ''), coalesce(case_reference, ''), refused);
    if refused is not null then
        return query select refused, null::text, null::text, null::bytea, null::bytea;
    else
        return query
            select null::text, i.system, i.table_name, k.salt, i.encrypted
            from vault.identities as i inner join vault.data_keys as k using (record_id)
            where requested_token = any(i.tokens)
            order by i.system, i.table_name, i.record_id;
    end if;
end $$;

alter function governance.reidentify(text, text, text) owner to wh_owner;
revoke all on function governance.reidentify(text, text, text) from public;
