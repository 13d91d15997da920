-- What answers, whether pg_dump and pg_restore can speak with it, and to whom.
SELECT json_build_object(
    'version', current_setting('server_version_num')::integer / 10000,
    'database', current_database(),
    'system_identifier', (SELECT system_identifier::text FROM pg_catalog.pg_control_system()),
    'owner', (SELECT pg_get_userbyid(datdba) FROM pg_catalog.pg_database WHERE datname = current_database()),
    'user', current_user
);
