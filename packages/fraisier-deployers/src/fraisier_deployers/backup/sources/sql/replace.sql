-- Puts a restored database in the place of another, which is kept under a third name. All are disconnected from it.
ALTER DATABASE :"replaced" ALLOW_CONNECTIONS false;
SELECT pg_terminate_backend(pid, 10000) FROM pg_catalog.pg_stat_activity
WHERE datname = :'replaced' AND pid <> pg_backend_pid();
BEGIN;
ALTER DATABASE :"replaced" RENAME TO :"aside";
ALTER DATABASE :"restored" RENAME TO :"replaced";
COMMIT;
