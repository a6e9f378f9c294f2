-- Data subject requests, legal holds and retention (warehouse/subjects.py).
comment on table governance.disposals is
'Rows deleted from raw tables by an erasure or at the end of their retention period. rows_on_hold counts rows that were '
'due and stay under a legal hold; is_awaiting_full_refresh is true until the next full refresh of the raw table. One '
'row per raw table and disposal.';
alter table governance.disposals owner to wh_owner;
grant select on governance.disposals to svc_dbt;
grant select, insert, update (is_awaiting_full_refresh) on governance.disposals to svc_loader;

comment on table governance.erasures is
'Erased people, by tokens that cannot be re-identified. The erasure is repeated each day, and after a restore. One row '
'per request.';
alter table governance.erasures owner to wh_owner;
grant select on governance.erasures to svc_dbt, svc_loader;

comment on table governance.legal_holds is
'Legal holds: the rows of the person stay until released_at, whatever a retention period or a request requires. One row '
'per person and hold.';
alter table governance.legal_holds owner to wh_owner;
grant select on governance.legal_holds to svc_dbt, svc_loader;
