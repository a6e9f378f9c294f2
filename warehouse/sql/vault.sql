-- The vault: encrypted identity records, and the fingerprints of the keys that encrypted them.
alter schema vault owner to wh_owner;
grant usage on schema vault to svc_loader, svc_match;

comment on table governance.vault_keys is
'Fingerprint of each vault key that made tokens and encrypted records. The highest version is in use. One row per '
'version.';
alter table governance.vault_keys owner to wh_owner;
grant select on governance.vault_keys to svc_loader, svc_dbt, svc_match;

comment on table vault.identities is
'Encrypted identifiers of raw rows. `tokens`, in the order of the contract, replace the identifiers in the raw rows; '
'`subject` is the token of the person. One row per raw table and distinct identity.';
alter table vault.identities owner to wh_owner;
grant select (system, table_name, record_id, subject, tokens), insert, delete on vault.identities to svc_loader;

comment on table vault.data_keys is
'Salt of each identity record. Without the salt the vault key cannot decrypt the record: the salt is destroyed with the '
'record, and dumped apart from the record. One row per identity record.';
alter table vault.data_keys owner to wh_owner;
grant select (record_id), insert, delete on vault.data_keys to svc_loader;
grant select on vault.identities, vault.data_keys to svc_match;
