-- Executed first in every session: no setting of the role or the database ends it, or hides rows from it.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET row_security = off;
SET search_path = pg_catalog;
SELECT format('SET %I = 0', name) FROM pg_settings WHERE name = 'transaction_timeout'  -- since version 17
\gexec
