-- Deliveries of report feeds.
comment on table governance.deliveries is
'Files that were delivered to recipients: the occasion (a publication, or the day of a calendar), the checksum, and where in '
'the outbox the file is kept. One row per feed, recipient and occasion.';
alter table governance.deliveries owner to wh_owner;
grant select, insert on governance.deliveries to svc_dbt;
