-- Row scopes have tables of their own (warehouse/sql/scopes.sql) instead of row policies on the tables of the set.
alter table governance.builds add column scopes text[] not null default '{}';

create table governance.row_scopes (
    publish_set text not null,
    scope text not null,
    row_column text not null,
    row_values text[] not null,
    whole_tables text[] not null,
    primary key (publish_set, scope)
);

-- readers.sql applies access.yml to the sets whose readers are missing here
delete from governance.readers
where publish_set in (select publish_set from governance.readers where row_column is not null);
alter table governance.readers
drop column row_column, drop column row_values, drop column whole_tables, add column scope text;

do $$
declare
    found record;
begin
    for found in
        select c.oid::regclass as relation, p.polname as name
        from governance.builds as b
        inner join pg_class as c on c.relnamespace = to_regnamespace(quote_ident(b.schema_name))
        inner join pg_policy as p on p.polrelid = c.oid
        where b.dropped_at is null
    loop
        execute format('drop policy %I on %s', found.name, found.relation);
    end loop;
    for found in
        select c.oid::regclass as relation
        from governance.builds as b
        inner join pg_class as c on c.relnamespace = to_regnamespace(quote_ident(b.schema_name))
        where b.dropped_at is null and c.relrowsecurity
    loop
        execute format('alter table %s disable row level security', found.relation);
    end loop;
end $$;

drop function if exists governance.apply_access(text, text);
drop function if exists governance.reader_grants(text, text);
drop function if exists governance.row_policy_condition(governance.readers);
