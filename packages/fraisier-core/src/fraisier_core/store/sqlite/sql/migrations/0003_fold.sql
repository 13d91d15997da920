-- The fold: what each event does to the tables that are derived from the events. It is written once, on a
-- view of the events, so that appending (one event) and rebuilding (all of them) are the same code.

CREATE VIEW fold_events AS SELECT * FROM tb_deployment_events;

CREATE TRIGGER deployment_events_fold AFTER INSERT ON tb_deployment_events
BEGIN
    INSERT INTO fold_events VALUES (
        NEW.sequence, NEW.deployment_id, NEW.number, NEW.event, NEW.at, NEW.token, NEW.host, NEW.attempt,
        NEW.fraise_id, NEW.environment, NEW.kind, NEW.trigger, NEW.requested_by, NEW.ref, NEW.commit_sha,
        NEW.before_sha, NEW.pathspecs, NEW.reason, NEW.recovers, NEW.repeats, NEW.arguments, NEW.requested_for,
        NEW.overlap, NEW.deploys_wait, NEW.executor, NEW.overridden_hold, NEW.webhook_event_id,
        NEW.newest_delivery, NEW.superseded_by, NEW.release, NEW.previous_release, NEW.previous_commit_sha, NEW.step,
        NEW.step_number, NEW.step_status, NEW.repeatable, NEW.duration, NEW.message, NEW.stored_name, NEW.stored_size,
        NEW.stored_sha256, NEW.stored_at);
END;

-- What a request excludes is up to its kind and, if it uses the serving release, to what the environment said. A hold
-- holds what deploys a commit, unless a user asked for it or it overrides the hold.
CREATE TRIGGER fold_requested INSTEAD OF INSERT ON fold_events WHEN NEW.event = 'requested'
BEGIN
    INSERT INTO tb_deployments (
        id, fraise_id, environment, kind, source, lane, supersedes, shown, priority, status, requested_at,
        commit_sha, ref, before_sha, pathspecs, reason, trigger, requested_by, webhook_event_id, newest_delivery,
        release, recovers, repeats, arguments, requested_for, executor, overridden_hold, obeys_holds, last_event,
        position)
    SELECT
        NEW.deployment_id, NEW.fraise_id, NEW.environment, name, source,
        CASE WHEN source <> 'serving' THEN lane
             WHEN NEW.overlap = 'allow' THEN NULL
             WHEN NEW.deploys_wait THEN 'release'
             ELSE lane END,
        supersedes, shown, priority, 'pending', NEW.at, NEW.commit_sha, NEW.ref, NEW.before_sha, NEW.pathspecs,
        NEW.reason, NEW.trigger, NEW.requested_by, NEW.webhook_event_id, coalesce(NEW.newest_delivery, 0), NEW.release, NEW.recovers,
        NEW.repeats, NEW.arguments, NEW.requested_for, NEW.executor, NEW.overridden_hold,
        source = 'commit' AND NEW.trigger <> 'manual' AND NEW.overridden_hold IS NULL, NEW.number, NEW.sequence
    FROM tb_kinds WHERE name = NEW.kind;
END;

-- The status of a deployment: the event that ends it names it.
CREATE TRIGGER fold_changed INSTEAD OF INSERT ON fold_events
WHEN NEW.event = 'superseded' OR NEW.event = 'cancel_requested' OR NEW.event = 'claimed'
  OR NEW.event = 'requeued' OR NEW.event = 'success' OR NEW.event = 'failed'
  OR NEW.event = 'rolled_back' OR NEW.event = 'cancelled' OR NEW.event = 'interrupted'
  OR NEW.event = 'skipped'
BEGIN
    UPDATE tb_deployments
    SET status = CASE NEW.event
            WHEN 'claimed' THEN 'running'
            WHEN 'requeued' THEN 'pending'
            WHEN 'cancel_requested' THEN iif(status = 'pending', 'cancelled', status)
            ELSE NEW.event
        END,
        started_at = CASE NEW.event
            WHEN 'claimed' THEN coalesce(started_at, NEW.at)
            WHEN 'requeued' THEN NULL
            ELSE started_at
        END,
        completed_at = CASE
            WHEN NEW.event IN ('claimed', 'requeued') THEN NULL
            WHEN NEW.event = 'cancel_requested' AND status <> 'pending' THEN NULL
            ELSE NEW.at
        END,
        error_message = CASE
            WHEN NEW.event IN ('claimed', 'requeued', 'success') THEN NULL
            WHEN NEW.event = 'cancel_requested' AND status <> 'pending' THEN error_message
            ELSE coalesce(NEW.message, error_message)
        END,
        duration = NEW.duration,
        attempt = iif(NEW.event = 'claimed', NEW.attempt, attempt),
        superseded_by = NEW.superseded_by,
        cancel_requested = max(cancel_requested, NEW.event = 'cancel_requested'),
        position = iif(NEW.event = 'cancel_requested' AND status <> 'pending', position, NEW.sequence),
        last_event = NEW.number
    WHERE id = NEW.deployment_id;
END;

-- What an attempt says, which is everything that carries a token.
CREATE TRIGGER fold_attempt INSTEAD OF INSERT ON fold_events WHEN NEW.token IS NOT NULL
BEGIN
    UPDATE tb_deployments
    SET activation_started = max(activation_started, NEW.event = 'activation_started'),
        rollback_started = max(rollback_started, NEW.event = 'rollback_started'),
        unrepeatable = max(unrepeatable, NEW.event = 'step_started' AND NEW.repeatable IS 0),
        error_message = iif(NEW.event = 'rollback_started', NEW.message, error_message),
        last_event = NEW.number
    WHERE id = NEW.deployment_id;
    UPDATE tb_deployments
    SET release = NEW.release, commit_sha = NEW.commit_sha, previous_release = NEW.previous_release,
        previous_commit_sha = NEW.previous_commit_sha
    WHERE id = NEW.deployment_id AND NEW.event = 'release_chosen';

    INSERT INTO tb_attempts (deployment_id, host, attempt, started_at)
    SELECT NEW.deployment_id, NEW.host, NEW.attempt, NEW.at WHERE NEW.event = 'claimed';
    UPDATE tb_attempts SET completed_at = NEW.at, outcome = NEW.event
    WHERE deployment_id = NEW.deployment_id AND completed_at IS NULL
      AND NEW.event IN ('superseded', 'requeued', 'success', 'failed', 'rolled_back', 'cancelled',
                        'interrupted', 'skipped');

    INSERT INTO tb_steps (deployment_id, host, attempt, number, name, status, repeatable, started_at)
    SELECT NEW.deployment_id, NEW.host, NEW.attempt, NEW.step_number, NEW.step, 'running',
           coalesce(NEW.repeatable, 1), NEW.at
    WHERE NEW.event = 'step_started';
    UPDATE tb_steps
    SET status = NEW.step_status, completed_at = NEW.at, duration = NEW.duration, message = NEW.message
    WHERE deployment_id = NEW.deployment_id AND host = NEW.host AND attempt = NEW.attempt
      AND number = NEW.step_number AND NEW.event = 'step_finished';
    UPDATE tb_steps SET status = 'interrupted', completed_at = NEW.at
    WHERE deployment_id = NEW.deployment_id AND status = 'running'
      AND NEW.event IN ('superseded', 'requeued', 'success', 'failed', 'rolled_back', 'cancelled',
                        'interrupted', 'skipped');

    INSERT INTO tb_serving (fraise_id, environment, host, release, commit_sha, deployment_id, since)
    SELECT fraise_id, environment, NEW.host, NEW.release, NEW.commit_sha, id, NEW.at
    FROM tb_deployments WHERE id = NEW.deployment_id AND NEW.event = 'serving'
    ON CONFLICT (fraise_id, environment, host) DO UPDATE
    SET release = excluded.release, commit_sha = excluded.commit_sha,
        deployment_id = excluded.deployment_id, since = excluded.since;
END;

-- What a backup stored, where, and what is left to do.
CREATE TRIGGER fold_stored INSTEAD OF INSERT ON fold_events WHEN NEW.event = 'stored'
BEGIN
    UPDATE tb_deployments
    SET stored_name = NEW.stored_name, stored_size = NEW.stored_size, stored_sha256 = NEW.stored_sha256,
        stored_at = NEW.stored_at, stored_problem = NEW.message
    WHERE id = NEW.deployment_id;
END;
