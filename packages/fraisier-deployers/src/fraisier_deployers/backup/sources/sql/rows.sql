-- Counts the rows of every table that pg_dump dumps with its data: none of an extension, no foreign table.
SELECT format(
    'SELECT json_build_array(%L, (SELECT count(*) FROM ONLY %I.%I))',
    format('%I.%I', nspname, relname), nspname, relname
)
FROM pg_catalog.pg_class
JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind = 'r' AND relpersistence <> 't'
    AND nspname NOT IN ('pg_catalog', 'information_schema') AND nspname NOT LIKE 'pg\_toast%'
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend
        WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'
    )
ORDER BY nspname, relname
\gexec
