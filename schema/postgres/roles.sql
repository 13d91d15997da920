-- What fraiseql-server may do, beside reading the views: request, and follow what changes. Run after `roles.sql` of the
-- store. The user that it logs in as is granted the role; it must not be called `fraiseql`, as a schema is:
-- GRANT fraisier_graphql TO fraiseql_server;

DO $$
BEGIN
    CREATE ROLE fraisier_graphql NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- all databases of a server have the same roles
END $$;

GRANT EXECUTE ON FUNCTION
    fn_deploy(text, text, text, text, boolean), fn_run(text, text, jsonb), fn_backup(text, text),
    fn_restore_test(text, text), fn_cancel(text), fn_rollback(text, text, text), fn_hold(text, text, text, text), fn_resume(text, text)
TO fraisier_graphql;

GRANT USAGE ON SCHEMA core TO fraisier_graphql;
GRANT SELECT ON core.tb_entity_change_log, tb_observer TO fraisier_graphql;
GRANT SELECT, INSERT ON core.tb_observer_dispatch TO fraisier_graphql;
GRANT SELECT, INSERT, UPDATE ON observer_checkpoints TO fraisier_graphql;
GRANT INSERT ON observer_checkpoints_history TO fraisier_graphql;
GRANT USAGE ON SEQUENCE observer_checkpoints_history_id_seq TO fraisier_graphql;
