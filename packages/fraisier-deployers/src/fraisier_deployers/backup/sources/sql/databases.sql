-- The databases, with what is said of them.
SELECT json_build_array(datname, shobj_description(oid, 'pg_database')) FROM pg_catalog.pg_database;
