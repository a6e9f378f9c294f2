-- Rows whose texts an erasure emptied, so that the erasure can be repeated after the source has delivered them again.
alter table governance.erasures add column if not exists emptied jsonb not null default '[]';

-- An override of the check on disposals is not one of the checks on loads.
alter table governance.overrides add column if not exists is_of_disposal boolean not null default false;
