-- What fraiseql-server may do, beside reading the views: request, and nothing else. Run after `roles.sql` of the store; a
-- user that logs in is granted the role: GRANT fraisier_graphql TO fraiseql;

DO $$
BEGIN
    CREATE ROLE fraisier_graphql NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- all databases of a server have the same roles
END $$;

GRANT EXECUTE ON FUNCTION
    fn_deploy(text, text, text, text), fn_cancel(text), fn_rollback(text, text, text)
TO fraisier_graphql;
