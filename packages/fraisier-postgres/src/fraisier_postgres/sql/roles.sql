-- What each part of Fraisier may do with the store, and no more. The owner of the tables runs this once they exist,
-- and again after every upgrade, in the database and with the schema of the store first in `search_path`:
--
--     psql --single-transaction --set ON_ERROR_STOP=1 --file roles.sql postgresql://owner@host/database
--
-- The roles cannot log in. Give them to users that can: GRANT fraisier_worker TO deployer;
--
--     fraisier_receiver   the web app: accepts deliveries and requests what they deploy
--     fraisier_worker     workers, and commands that request, deploy, cancel, restore or prune
--     fraisier_reader     commands and programs that only read; the bodies of deliveries excepted
--     fraisier_graphql    what is published: the views alone
--
-- The commands of `fraisier db` but `status` are the owner's, and so are `fraisier token create` and `revoke`. No role
-- may change or delete what was appended; of deliveries, retention deletes the bodies.

DO $$
DECLARE
    name text;
BEGIN
    -- Nobody but the owner: what is in the schema runs as the owner.
    EXECUTE 'REVOKE CREATE ON SCHEMA ' || quote_ident(current_schema()) || ' FROM PUBLIC';
    FOREACH name IN ARRAY ARRAY['fraisier_receiver', 'fraisier_worker', 'fraisier_reader', 'fraisier_graphql'] LOOP
        BEGIN
            EXECUTE 'CREATE ROLE ' || name || ' NOLOGIN';
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- all databases of a server have the same roles
        END;
        EXECUTE 'GRANT USAGE ON SCHEMA ' || quote_ident(current_schema()) || ' TO ' || name;
    END LOOP;
END $$;

GRANT SELECT ON
    v_deployment_history, v_deployment_changes, v_fraises, v_fraise_status, v_deployment_stats, v_webhook_events,
    v_webhook_refs, v_deployment_holds
TO fraisier_graphql, fraisier_reader, fraisier_worker;

GRANT SELECT ON
    tb_fraises, tb_environments, tb_kinds, tb_deployments, tb_webhook_events, tb_workers, tb_migrations, tb_holds,
    holds_in_force, environment_holds
TO fraisier_receiver, fraisier_reader, fraisier_worker;

GRANT SELECT ON
    tb_deployment_events, deployment_event_sequence, tb_attempts, tb_steps, tb_serving, tb_deployment_logs,
    tb_webhook_refs, tb_refused_deliveries, tb_leases, tb_observers, tb_untold, tb_branch_heads
TO fraisier_reader, fraisier_worker;
GRANT SELECT (sequence, webhook_event_id) ON tb_webhook_payloads TO fraisier_reader, fraisier_worker;

-- Tokens are made and revoked by the owner: what a build may do with the store, which runs as the worker does, makes none.
GRANT SELECT ON tb_tokens TO fraisier_receiver, fraisier_reader;
GRANT INSERT ON tb_audit_events TO fraisier_receiver, fraisier_worker;
GRANT SELECT ON tb_audit_events, v_audit_events TO fraisier_reader;

-- What is configured is recorded by whoever opens the store for writing, the windows of `freeze:` too, which are over at
-- some time; whoever may request a deployment may hold deployments. What users held is never deleted.
GRANT INSERT, UPDATE ON tb_fraises, tb_environments TO fraisier_receiver, fraisier_worker;
GRANT INSERT, DELETE, UPDATE (resumed_at, resumed_by) ON tb_holds TO fraisier_receiver, fraisier_worker;

GRANT INSERT ON tb_webhook_events, tb_webhook_refs, tb_webhook_payloads, tb_refused_deliveries
TO fraisier_receiver;
GRANT INSERT (
    deployment_id, event, at, fraise_id, environment, kind, trigger, requested_by, ref, commit_sha,
    before_sha, pathspecs, reason, recovers, repeats, arguments, requested_for, overridden_hold,
    webhook_event_id, newest_delivery, release) ON tb_deployment_events
TO fraisier_receiver;
GRANT UPDATE (heartbeat) ON tb_workers TO fraisier_receiver;
GRANT EXECUTE ON FUNCTION note_change(uuid, uuid), last_change(uuid) TO fraisier_receiver, fraisier_worker;

GRANT SELECT ON claimable_deployments TO fraisier_worker;
GRANT INSERT ON tb_deployment_events TO fraisier_worker;
GRANT INSERT, UPDATE, DELETE ON tb_leases, tb_workers, tb_deployment_logs, tb_untold, tb_branch_heads TO fraisier_worker;
GRANT INSERT, UPDATE ON tb_observers TO fraisier_worker;
GRANT DELETE ON tb_webhook_payloads, tb_refused_deliveries TO fraisier_worker;
