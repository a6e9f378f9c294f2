-- The secret of surrogate keys (warehouse/sql/key_secret.sql). It is made once: other keys would change every report. The
-- first vault key replaces it in a warehouse that has published nothing.
create table governance.key_secret (secret text not null);
insert into governance.key_secret (secret)
values (encode(sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')), 'hex'));
