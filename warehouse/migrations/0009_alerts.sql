-- Alerts and heartbeats (warehouse/alerts.py).
create table governance.alerts (
    alert_id bigint generated always as identity primary key,
    kind text not null,
    subject text not null,
    began_at timestamptz not null,
    last_seen_at timestamptz not null,
    occurrences integer not null,
    occurrence text not null,
    what text not null,
    sets text[] not null,
    reports text[] not null,
    run_id text not null,
    resolved_at timestamptz,
    last_notice text check (last_notice in ('problem', 'recovery')),
    last_notice_at timestamptz,
    undelivered text[] not null,
    delivery_problem text
);
create unique index alerts_open on governance.alerts (kind, subject) where resolved_at is null;

create table governance.heartbeats (
    source text primary key,
    beat_at timestamptz not null,
    unbroken_since timestamptz not null
);
