-- Those of some roles that this server lacks, and the statement that creates each.
SELECT coalesce(json_object_agg(name, format('CREATE ROLE %I;', name) ORDER BY name), '{}')
FROM (SELECT DISTINCT unnest(:'roles'::text[]) AS name) AS named
WHERE name NOT IN (SELECT rolname FROM pg_catalog.pg_roles);
