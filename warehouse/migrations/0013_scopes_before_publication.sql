-- The tables of row scopes are made in a transaction before the publication
alter table governance.builds add column scopes_made_from jsonb;
