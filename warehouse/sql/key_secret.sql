-- The secret that the hash of each surrogate key contains (dbt_project/macros/surrogate_key.sql).
comment on table governance.key_secret is
'Secret of surrogate keys. A backup contains the secret, so that keys stay equal. One row.';
alter table governance.key_secret owner to wh_owner;

-- Returns the secret. It never changes, so that Postgres may call the function once for a statement (immutable).
create or replace function governance.key_secret() returns text
language sql immutable security definer set search_path = pg_catalog, pg_temp as $$ select secret from governance.key_secret $$;

select pg_temp.own_functions(array['key_secret()'], '{svc_dbt}');
