-- Those of some roles that this server lacks, or that the user may not make the owner of something.
SELECT coalesce(json_agg(name), '[]')
FROM unnest(:'roles'::text[]) AS name
LEFT JOIN pg_catalog.pg_roles ON rolname = name
WHERE rolname IS NULL OR NOT pg_catalog.pg_has_role(
    current_user,
    pg_roles.oid,
    CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END
);
