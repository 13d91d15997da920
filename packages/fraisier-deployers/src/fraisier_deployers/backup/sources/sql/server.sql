-- What answers, and whether pg_dump and pg_restore can speak with it.
SELECT json_build_object(
    'version', current_setting('server_version_num')::integer / 10000,
    'database', current_database(),
    'system_identifier', (SELECT system_identifier::text FROM pg_catalog.pg_control_system())
);
