-- How much somebody has made in this database: nothing, if it is empty. Extensions do not count.
WITH schemas AS (
    SELECT oid FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
), made AS (
    SELECT tableoid, oid FROM pg_namespace WHERE oid IN (TABLE schemas)
    UNION ALL
    SELECT tableoid, oid FROM pg_class
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND relnamespace IN (TABLE schemas)
    UNION ALL
    SELECT tableoid, oid FROM pg_type
    WHERE typnamespace IN (TABLE schemas) AND typelem = 0 AND typtype <> 'm'
        AND (typrelid = 0 OR typrelid IN (SELECT oid FROM pg_class WHERE relkind = 'c'))
    UNION ALL SELECT tableoid, oid FROM pg_proc
    UNION ALL SELECT tableoid, oid FROM pg_operator
    UNION ALL SELECT tableoid, oid FROM pg_cast
    UNION ALL SELECT tableoid, oid FROM pg_collation
    UNION ALL SELECT tableoid, oid FROM pg_ts_config
    UNION ALL SELECT tableoid, oid FROM pg_ts_dict
    UNION ALL SELECT tableoid, oid FROM pg_event_trigger
    UNION ALL SELECT tableoid, oid FROM pg_publication
    UNION ALL SELECT tableoid, oid FROM pg_foreign_data_wrapper
    UNION ALL SELECT tableoid, oid FROM pg_foreign_server
    UNION ALL SELECT tableoid, oid FROM pg_largeobject_metadata
), own AS (  -- objects that initdb makes have smaller numbers, a large object may have any
    SELECT tableoid, oid FROM made WHERE oid >= 16384 OR tableoid = 'pg_largeobject_metadata'::regclass
)
SELECT count(*) FROM own
WHERE NOT EXISTS (
    SELECT FROM pg_depend WHERE classid = own.tableoid AND objid = own.oid AND deptype IN ('e', 'i')
);
