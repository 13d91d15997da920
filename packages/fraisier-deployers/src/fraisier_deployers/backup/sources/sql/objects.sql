-- Counts what pg_dump dumps beside tables and their rows: nothing of an extension.
WITH schemas AS (
    SELECT oid FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
), extended AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relations AS (
    SELECT oid, relkind FROM pg_class
    WHERE relnamespace IN (TABLE schemas) AND ('pg_class'::regclass, oid) NOT IN (TABLE extended)
)
SELECT json_build_object(
    'large objects', (SELECT count(*) FROM pg_largeobject_metadata),
    'sequences', (SELECT count(*) FROM relations WHERE relkind = 'S'),
    'views', (SELECT count(*) FROM relations WHERE relkind IN ('v', 'm')),
    'indexes', (SELECT count(*) FROM pg_index WHERE indrelid IN (SELECT oid FROM relations)),
    'functions', (
        SELECT count(*) FROM pg_proc
        WHERE pronamespace IN (TABLE schemas) AND ('pg_proc'::regclass, oid) NOT IN (TABLE extended)
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'i')
    ),
    'constraints', (
        SELECT count(*) FROM pg_constraint
        WHERE contype IN ('c', 'f', 'p', 'u', 'x') AND conrelid IN (SELECT oid FROM relations)
    ),
    'triggers', (
        SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid IN (SELECT oid FROM relations)
    ),
    'policies', (SELECT count(*) FROM pg_policy WHERE polrelid IN (SELECT oid FROM relations))
);
