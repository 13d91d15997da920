-- Those of some tablespaces that this server lacks.
SELECT coalesce(json_agg(name ORDER BY name), '[]')
FROM unnest(:'tablespaces'::text[]) AS name
WHERE name NOT IN (SELECT spcname FROM pg_catalog.pg_tablespace);
