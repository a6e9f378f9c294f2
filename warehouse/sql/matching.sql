-- Person matching across systems (warehouse/matching.py): tokens and random ids, no clear value.
alter schema matching owner to wh_owner;
grant usage on schema matching to svc_loader, svc_dbt, svc_match;

comment on table matching.person_records is
'Crosswalk from each system''s records of people to persons, with its version history. `subject` is the token of the '
'person in raw tables; `person_id` is random and never used again. One row per record and period with one person.';
alter table matching.person_records owner to wh_owner;
grant select, insert, update on matching.person_records to svc_match;
grant select on matching.person_records to svc_dbt;
grant select (subject), delete on matching.person_records to svc_loader;

comment on table matching.pairs is
'Pairs of records, by their tokens, that a steward has to decide: they may be one person, or a certain match conflicts '
'with other records. Each run replaces all pairs. One row per pair.';
alter table matching.pairs owner to wh_owner;
grant select, insert, delete on matching.pairs to svc_match;

comment on table matching.decisions is
'Steward decisions on pairs of records: one person or two. Matching follows a decision until it is withdrawn. One row '
'per decision.';
alter table matching.decisions owner to wh_owner;
grant select on matching.decisions to svc_match;
grant select (subject, other_subject), delete on matching.pairs, matching.decisions to svc_loader;
