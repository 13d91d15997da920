-- How much somebody has made in this database: nothing, if it is empty.
WITH schemas AS (
    SELECT oid, nspname FROM pg_catalog.pg_namespace
    WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname NOT LIKE 'pg\_t%'
),
extended AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
)
SELECT (SELECT count(*) FROM schemas WHERE nspname <> 'public' AND (2615, oid) NOT IN (TABLE extended))
    + (
        SELECT count(*) FROM pg_catalog.pg_class
        WHERE relnamespace IN (SELECT oid FROM schemas) AND (1259, oid) NOT IN (TABLE extended)
    )
    + (
        SELECT count(*) FROM pg_catalog.pg_proc
        WHERE pronamespace IN (SELECT oid FROM schemas) AND (1255, oid) NOT IN (TABLE extended)
    )
    + (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata);
