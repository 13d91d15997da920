-- Puts a restored database in the place of another, which is kept under a third name. All are disconnected from both;
-- whoever this role may not disconnect from the restored one has five seconds to go.
ALTER DATABASE :"replaced" ALLOW_CONNECTIONS false;
SELECT pg_terminate_backend(pid, 10000) FROM pg_catalog.pg_stat_activity
WHERE datname = :'replaced' AND usesysid IS NOT NULL AND pid <> pg_backend_pid();
\set ON_ERROR_STOP 0
SELECT pg_terminate_backend(pid, 10000) FROM pg_catalog.pg_stat_activity
WHERE datname = :'restored' AND usesysid IS NOT NULL AND pid <> pg_backend_pid();
\set ON_ERROR_STOP 1
BEGIN;
ALTER DATABASE :"replaced" RENAME TO :"aside";
ALTER DATABASE :"restored" RENAME TO :"replaced";
COMMIT;
