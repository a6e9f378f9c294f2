-- Tables, columns and functions get the field's names (docs/glossary.md). No row is lost.

alter table governance.landings rename to load_audit;
alter table governance.load_audit rename landing_id to load_audit_id;
alter table governance.load_audit rename landed_at to loaded_at;
alter table governance.load_audit rename rows_landed to rows_written;
alter table governance.load_audit rename version to data_version;
alter table governance.load_audit rename cut_off to high_watermark;
alter table governance.load_audit rename constraint landings_pkey to load_audit_pkey;
alter index governance.landings_latest rename to load_audit_latest;
alter sequence governance.landings_landing_id_seq rename to load_audit_load_audit_id_seq;

alter table governance.files rename to loaded_files;
alter table governance.loaded_files rename landed_at to loaded_at;
alter table governance.loaded_files rename constraint files_pkey to loaded_files_pkey;

alter table governance.acceptances rename to overrides;
alter table governance.overrides rename acceptance_id to override_id;
alter table governance.overrides rename accepted_by to granted_by;
alter table governance.overrides rename accepted_at to granted_at;
alter table governance.overrides rename constraint acceptances_pkey to overrides_pkey;
alter table governance.overrides rename constraint acceptances_reason_check to overrides_reason_check;
alter sequence governance.acceptances_acceptance_id_seq rename to overrides_override_id_seq;

alter table governance.keys rename to vault_keys;
alter table governance.vault_keys rename constraint keys_pkey to vault_keys_pkey;

alter table governance.disposals rename rows_held to rows_on_hold;
alter table governance.disposals rename is_out to is_awaiting_full_refresh;

alter table governance.reidentifications rename asked_at to requested_at;
alter table governance.reidentifications rename asked_by to requested_by;

alter table governance.publish_sets rename previous_is_whole to can_roll_back;
alter table governance.publish_sets rename candidate to pending_build;
alter table governance.publications drop constraint publications_action_check;
update governance.publications set action = 'roll_back' where action = 'undo';
alter table governance.publications
add constraint publications_action_check check (action in ('publish', 'refuse', 'roll_back'));

alter table vault.identities rename record to record_id;
alter table vault.identities rename sealed to encrypted;
alter table vault.identities rename landed_at to loaded_at;
alter table vault.data_keys rename record to record_id;

alter table matching.person_records drop constraint person_records_matched_by_check;
update matching.person_records set matched_by = case matched_by when 'alone' then 'unmatched' else 'similarity' end
where matched_by in ('alone', 'likeness');
alter table matching.person_records
add constraint person_records_matched_by_check check (matched_by in ('unmatched', 'number', 'similarity', 'steward'));
alter table matching.pairs rename one to subject;
alter table matching.pairs rename other to other_subject;
alter table matching.decisions rename one to subject;
alter table matching.decisions rename other to other_subject;

update quarantine.rows set content = json_build_object('_salt', content -> '_salt', '_encrypted', content -> '_sealed')
where content::jsonb ? '_sealed';

-- warehouse/sql creates the functions again, under these or new names
drop function if exists governance.undo(text);
drop function if exists governance.record(text, text, jsonb, text[], text[]);
drop function if exists governance.forget_previous(text);
drop function if exists governance.open_schemas(text);
drop function if exists governance.rights(text, text);
drop function if exists governance.row_condition(governance.readers);
drop function if exists governance.reidentify(text, text, text);
drop function if exists governance.begin_build(text, text[]);
