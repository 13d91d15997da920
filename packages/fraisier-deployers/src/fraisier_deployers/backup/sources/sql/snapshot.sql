-- Opens a snapshot for pg_dump, and says what it is of.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
WITH of_extensions AS (  -- whose owners pg_dump does not dump
    SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
)
SELECT json_build_object(
    'snapshot', pg_export_snapshot(),
    'database', datname,
    'system_identifier', (SELECT system_identifier::text FROM pg_control_system()),
    'server_version', current_setting('server_version'),
    'server_major', current_setting('server_version_num')::integer / 10000,
    'encoding', pg_encoding_to_char(encoding),
    'lc_collate', datcollate,
    'lc_ctype', datctype,
    'locale_provider', coalesce(to_jsonb(pg_database) ->> 'datlocprovider', 'c'),  -- since version 15
    'locale', coalesce(to_jsonb(pg_database) ->> 'datlocale', to_jsonb(pg_database) ->> 'daticulocale', ''),
    'owners', ARRAY(
        SELECT DISTINCT rolname FROM pg_roles
        WHERE oid IN (
                SELECT relowner FROM pg_class
                WHERE pg_class.oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
                    AND ('pg_class'::regclass, pg_class.oid) NOT IN (SELECT classid, objid FROM of_extensions)
            )
            OR oid IN (
                SELECT refobjid FROM pg_shdepend
                WHERE dbid = pg_database.oid AND deptype = 'o' AND classid <> 'pg_default_acl'::regclass
                    AND (classid, objid) NOT IN (SELECT classid, objid FROM of_extensions)
            )
        ORDER BY rolname
    ),
    'grantees', ARRAY(
        SELECT DISTINCT rolname FROM pg_roles
        JOIN pg_shdepend ON refclassid = 'pg_authid'::regclass AND refobjid = pg_roles.oid
        WHERE dbid = pg_database.oid AND deptype = 'a'
        ORDER BY rolname
    ),
    'grantors', ARRAY(
        SELECT DISTINCT rolname FROM pg_roles
        WHERE oid IN (SELECT defaclrole FROM pg_default_acl)
        ORDER BY rolname
    ),
    'policy_roles', ARRAY(
        SELECT DISTINCT rolname FROM pg_roles
        WHERE oid IN (SELECT unnest(polroles) FROM pg_policy)
        ORDER BY rolname
    ),
    'tablespaces', ARRAY(
        SELECT spcname FROM pg_tablespace
        WHERE oid IN (SELECT reltablespace FROM pg_class WHERE oid >= 16384)
        ORDER BY spcname
    )
)
FROM pg_database WHERE datname = current_database();
