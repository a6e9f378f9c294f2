-- Files that were delivered to recipients (warehouse/feeds/delivery.py)
create table governance.deliveries (
    delivery_id bigint generated always as identity primary key,
    feed text not null,
    recipient text not null,
    publish_set text not null,
    occasion text not null,
    publication_id bigint not null,
    file text not null,
    rows bigint not null,
    bytes bigint not null,
    sha256 text not null,
    kept_as text not null,
    delivered_at timestamptz not null default clock_timestamp(),
    unique (feed, recipient, occasion)
);
