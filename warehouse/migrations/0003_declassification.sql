-- Acceptance of the proposed declassifications (access.yml), without which a publish set that has some is not built.
create table governance.accepted_proposals (
    accepted_by text not null,
    accepted_on date not null
);
