-- The statements that create those of some roles that this server lacks.
SELECT coalesce(json_agg(format('CREATE ROLE %I;', name) ORDER BY name), '[]')
FROM (SELECT DISTINCT unnest(:'roles'::text[]) AS name) AS named
WHERE name NOT IN (SELECT rolname FROM pg_catalog.pg_roles);
