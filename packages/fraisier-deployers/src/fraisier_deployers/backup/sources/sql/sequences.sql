-- How far sequences have come that only grow and that pg_dump dumps: none of an extension.
SELECT coalesce(json_object_agg(format('%I.%I', schemaname, sequencename), last_value), '{}')
FROM pg_catalog.pg_sequences
WHERE last_value IS NOT NULL AND increment_by > 0 AND NOT cycle AND schemaname NOT LIKE 'pg\_%'
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend
        WHERE classid = 'pg_catalog.pg_class'::regclass AND deptype = 'e'
            AND objid = format('%I.%I', schemaname, sequencename)::regclass
    );
