-- Counts the rows that pg_dump dumps: of every table but foreign ones, and of an extension's tables for the user.
WITH dumped AS (
    SELECT pg_class.oid, '' AS condition FROM pg_catalog.pg_class
    JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relpersistence <> 't'
        AND nspname NOT IN ('pg_catalog', 'information_schema') AND nspname NOT LIKE 'pg\_toast%'
        AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend
            WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'
        )
    UNION ALL
    SELECT unnest(extconfig), unnest(extcondition) FROM pg_catalog.pg_extension
)
SELECT format(
    'SELECT json_build_array(%L, (SELECT count(*) FROM ONLY %I.%I %s))',
    format('%I.%I', nspname, relname), nspname, relname, condition
)
FROM dumped
JOIN pg_catalog.pg_class ON pg_class.oid = dumped.oid
JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind = 'r'
ORDER BY nspname, relname
\gexec
