-- The fold: what each event does to the tables that are derived from the events. It is written once, on a
-- view of the events, so that appending (one event) and rebuilding (all of them) are the same code.

CREATE VIEW fold_events AS SELECT * FROM tb_deployment_events;

CREATE TRIGGER deployment_events_fold AFTER INSERT ON tb_deployment_events
BEGIN
    INSERT INTO fold_events SELECT * FROM tb_deployment_events WHERE sequence = NEW.sequence;
END;

CREATE TRIGGER fold_requested INSTEAD OF INSERT ON fold_events WHEN NEW.event = 'requested'
BEGIN
    INSERT INTO tb_deployments (
        id, fraise_id, environment, kind, status, requested_at, commit_sha, branch, trigger, requested_by,
        webhook_event_id, release, last_event)
    VALUES (
        NEW.deployment_id, NEW.fraise_id, NEW.environment, NEW.kind, 'pending', NEW.at, NEW.commit_sha,
        NEW.branch, NEW.trigger, NEW.requested_by, NEW.webhook_event_id, NEW.release, NEW.number);
END;

CREATE TRIGGER fold_superseded INSTEAD OF INSERT ON fold_events WHEN NEW.event = 'superseded'
BEGIN
    UPDATE tb_runs SET completed_at = NEW.at, outcome = NEW.event
    WHERE deployment_id = NEW.deployment_id AND completed_at IS NULL;
    UPDATE tb_deployments
    SET status = 'superseded', completed_at = NEW.at, superseded_by = NEW.superseded_by,
        error_message = NEW.message, last_event = NEW.number
    WHERE id = NEW.deployment_id;
END;

CREATE TRIGGER fold_cancel_requested INSTEAD OF INSERT ON fold_events WHEN NEW.event = 'cancel_requested'
BEGIN
    UPDATE tb_deployments
    SET cancel_requested = 1, last_event = NEW.number,
        completed_at = iif(status = 'pending', NEW.at, NULL),
        error_message = iif(status = 'pending', NEW.message, NULL),
        status = iif(status = 'pending', 'cancelled', status)
    WHERE id = NEW.deployment_id;
END;

CREATE TRIGGER fold_claimed INSTEAD OF INSERT ON fold_events WHEN NEW.event = 'claimed'
BEGIN
    INSERT INTO tb_runs (deployment_id, host, attempt, started_at)
    VALUES (NEW.deployment_id, NEW.host, NEW.attempt, NEW.at);
    UPDATE tb_deployments
    SET status = 'running', started_at = coalesce(started_at, NEW.at), attempt = NEW.attempt,
        last_event = NEW.number
    WHERE id = NEW.deployment_id;
END;

CREATE TRIGGER fold_requeued INSTEAD OF INSERT ON fold_events WHEN NEW.event = 'requeued'
BEGIN
    UPDATE tb_runs SET completed_at = NEW.at, outcome = NEW.event
    WHERE deployment_id = NEW.deployment_id AND completed_at IS NULL;
    UPDATE tb_deployments SET status = 'pending', started_at = NULL, last_event = NEW.number
    WHERE id = NEW.deployment_id;
END;

CREATE TRIGGER fold_step_started INSTEAD OF INSERT ON fold_events WHEN NEW.event = 'step_started'
BEGIN
    INSERT INTO tb_steps (deployment_id, host, attempt, number, name, status, started_at)
    VALUES (NEW.deployment_id, NEW.host, NEW.attempt, NEW.step_number, NEW.step, 'running', NEW.at);
    UPDATE tb_deployments SET last_event = NEW.number WHERE id = NEW.deployment_id;
END;

CREATE TRIGGER fold_step_finished INSTEAD OF INSERT ON fold_events WHEN NEW.event = 'step_finished'
BEGIN
    UPDATE tb_steps
    SET status = NEW.step_status, completed_at = NEW.at, duration = NEW.duration, message = NEW.message
    WHERE deployment_id = NEW.deployment_id AND host = NEW.host AND attempt = NEW.attempt
      AND number = NEW.step_number;
    UPDATE tb_deployments SET last_event = NEW.number WHERE id = NEW.deployment_id;
END;

CREATE TRIGGER fold_release_created INSTEAD OF INSERT ON fold_events WHEN NEW.event = 'release_created'
BEGIN
    UPDATE tb_deployments
    SET release = NEW.release, commit_sha = NEW.commit_sha, previous_release = NEW.previous_release,
        previous_commit_sha = NEW.previous_commit_sha, last_event = NEW.number
    WHERE id = NEW.deployment_id;
END;

CREATE TRIGGER fold_activation_started INSTEAD OF INSERT ON fold_events WHEN NEW.event = 'activation_started'
BEGIN
    UPDATE tb_deployments SET activation_started = 1, last_event = NEW.number WHERE id = NEW.deployment_id;
END;

CREATE TRIGGER fold_rollback_started INSTEAD OF INSERT ON fold_events WHEN NEW.event = 'rollback_started'
BEGIN
    UPDATE tb_deployments
    SET rollback_started = 1, error_message = NEW.message, last_event = NEW.number
    WHERE id = NEW.deployment_id;
END;

CREATE TRIGGER fold_serving INSTEAD OF INSERT ON fold_events WHEN NEW.event = 'serving'
BEGIN
    INSERT INTO tb_serving (fraise_id, environment, host, release, commit_sha, deployment_id, since)
    SELECT fraise_id, environment, NEW.host, NEW.release, NEW.commit_sha, id, NEW.at
    FROM tb_deployments WHERE id = NEW.deployment_id
    ON CONFLICT (fraise_id, environment, host) DO UPDATE
    SET release = excluded.release, commit_sha = excluded.commit_sha,
        deployment_id = excluded.deployment_id, since = excluded.since;
    UPDATE tb_deployments SET last_event = NEW.number WHERE id = NEW.deployment_id;
END;

CREATE TRIGGER fold_ended INSTEAD OF INSERT ON fold_events
WHEN NEW.event IN ('succeeded', 'failed', 'rolled_back', 'cancelled', 'interrupted', 'skipped')
BEGIN
    UPDATE tb_steps SET status = 'interrupted', completed_at = NEW.at
    WHERE deployment_id = NEW.deployment_id AND status = 'running';
    UPDATE tb_runs SET completed_at = NEW.at, outcome = NEW.event
    WHERE deployment_id = NEW.deployment_id AND completed_at IS NULL;
    UPDATE tb_deployments
    SET status = iif(NEW.event = 'succeeded', 'success', NEW.event), completed_at = NEW.at,
        duration = NEW.duration,
        error_message = iif(NEW.event = 'succeeded', NULL, coalesce(NEW.message, error_message)),
        last_event = NEW.number
    WHERE id = NEW.deployment_id;
END;
