-- Alerts, and the heartbeats of the processes that send them.
comment on table governance.alerts is
'Problems that are sent to people: what happened, the publish sets and reports affected, the last notice and its delivery. '
'One row per cause and uninterrupted period.';
alter table governance.alerts owner to wh_owner;
grant select, insert, update on governance.alerts to svc_dbt;

comment on table governance.heartbeats is
'Last completed cycle of the alerts, of the outside heartbeat and of `warehouse watch`, and the time from which they complete without '
'a gap. One row per source.';
alter table governance.heartbeats owner to wh_owner;
grant select, insert, update on governance.heartbeats to svc_dbt;
