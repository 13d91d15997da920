-- Subscriptions: whatever changes the status of a deployment is an event of fraiseql-server's change log, as a query
-- would answer then. It reads the log from where it was; the newest 10,000 rows are kept.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE OR REPLACE FUNCTION capture_status() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    written bigint;
BEGIN
    INSERT INTO core.tb_entity_change_log (
        object_type, modification_type, object_id, object_data, change_status, commit_time)
    SELECT 'Deployment', TG_OP, d.id, d.data, 'success', clock_timestamp()
    FROM v_deployment_history AS d WHERE d.id = NEW.id
    RETURNING pk_entity_change_log INTO written;
    DELETE FROM core.tb_entity_change_log WHERE pk_entity_change_log <= written - 10000;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER deployments_capture_request AFTER INSERT ON tb_deployments
FOR EACH ROW EXECUTE FUNCTION capture_status();

CREATE OR REPLACE TRIGGER deployments_capture_status AFTER UPDATE ON tb_deployments
FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION capture_status();

REVOKE EXECUTE ON FUNCTION capture_status() FROM PUBLIC;
