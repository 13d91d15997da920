-- Gives a restored database its name. All are disconnected from it, such as what monitors each database that appears.
-- Whoever this role may not disconnect has five seconds to go: so long it is waited to rename.
\set ON_ERROR_STOP 0
SELECT pg_terminate_backend(pid, 10000) FROM pg_catalog.pg_stat_activity
WHERE datname = :'restored' AND usesysid IS NOT NULL AND pid <> pg_backend_pid();
\set ON_ERROR_STOP 1
ALTER DATABASE :"restored" RENAME TO :"name";
