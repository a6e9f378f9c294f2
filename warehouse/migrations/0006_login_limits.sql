-- Limits of logins, administrators, and the rights that the setup gives to services (warehouse/sql/logins.sql).
create table governance.login_limits (
    login text primary key,
    connections integer not null,
    statement_timeout text not null,
    idle_in_transaction_session_timeout text not null,
    lock_timeout text not null,
    temp_file_limit text not null
);

create table governance.administrators (
    login text primary key
);

create table governance.service_rights (
    object text not null,
    login text not null,
    privilege text not null,
    primary key (object, login, privilege)
);
