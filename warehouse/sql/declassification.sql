-- Acceptance of proposed declassifications, from access.yml. In the demo the proposals are accepted.
comment on table governance.accepted_proposals is
'Who accepted the proposed declassifications of identifiers, and when, from access.yml. One row, or none while nobody '
'has accepted them.';
alter table governance.accepted_proposals owner to wh_owner;
grant select on governance.accepted_proposals to svc_dbt;
delete from governance.accepted_proposals;
insert into governance.accepted_proposals (accepted_by, accepted_on)
select a.accepted_by, a.accepted_on
from pg_temp.as_rows('warehouse.accepted_proposals') as given
cross join jsonb_populate_record(null::governance.accepted_proposals, given) as a;
