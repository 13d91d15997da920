-- Gives a restored database what the one that it replaces has beside its content: a dump does not have it.
BEGIN;
SET LOCAL search_path = pg_catalog;
SELECT format('COMMENT ON DATABASE %I IS %L', :'restored', shobj_description(oid, 'pg_database'))
FROM pg_database WHERE datname = :'replaced'
\gexec
SELECT format('ALTER DATABASE %I CONNECTION LIMIT %s', :'restored', datconnlimit)
FROM pg_database WHERE datname = :'replaced' AND datconnlimit <> -1
\gexec
-- The values of parameters that are lists are stored as they are written.
SELECT format(
    'ALTER %s SET %I TO %s',
    CASE
        WHEN setrole = 0 THEN format('DATABASE %I', :'restored')
        ELSE format('ROLE %I IN DATABASE %I', pg_get_userbyid(setrole), :'restored')
    END,
    name,
    CASE
        WHEN name IN (
            'search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries'
        ) AND value <> '""' THEN value
        WHEN value = '""' THEN quote_literal('')
        ELSE quote_literal(value)
    END
)
FROM (
    SELECT setrole, split_part(entry, '=', 1) AS name, substr(entry, strpos(entry, '=') + 1) AS value
    FROM pg_db_role_setting, unnest(setconfig) AS entry
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = :'replaced')
) AS settings
\gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'restored')
FROM pg_database WHERE datname = :'replaced' AND datacl IS NOT NULL
\gexec
SELECT format(
    'GRANT %s ON DATABASE %I TO %s%s',
    privilege_type,
    :'restored',
    CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END
)
FROM pg_database, aclexplode(datacl) WHERE datname = :'replaced' AND grantee <> datdba
\gexec
SELECT format('ALTER DATABASE %I OWNER TO %I', :'restored', pg_get_userbyid(datdba))
FROM pg_database WHERE datname = :'replaced'
\gexec
COMMIT;
