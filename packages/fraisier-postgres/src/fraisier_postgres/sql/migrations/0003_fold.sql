-- The fold: what each event does to the tables that are derived from the events. It is written once, so that
-- appending (one event) and rebuilding (all of them) are the same code. Each part is one statement an event.

-- What a request excludes is up to its kind and, if it uses the serving release, to what the environment said. A hold
-- holds what deploys a commit, unless a user asked for it or it overrides the hold.
CREATE FUNCTION fold_requested(event tb_deployment_events) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tb_deployments (
        sequence, id, fraise_id, environment, kind, source, lane, supersedes, shown, priority, status, requested_at,
        commit_sha, ref, before_sha, pathspecs, reason, trigger, requested_by, webhook_event_id, newest_delivery,
        release, recovers, repeats, arguments, requested_for, executor, overridden_hold, obeys_holds, last_event,
        position)
    SELECT
        event.sequence, event.deployment_id, event.fraise_id, event.environment, k.name, k.source,
        CASE WHEN k.source <> 'serving' THEN k.lane
             WHEN event.overlap = 'allow' THEN NULL
             WHEN event.deploys_wait THEN 'release'
             ELSE k.lane END,
        k.supersedes, k.shown, k.priority, 'pending', event.at, event.commit_sha, event.ref, event.before_sha,
        event.pathspecs, event.reason, event.trigger, event.requested_by, event.webhook_event_id,
        event.newest_delivery, event.release, event.recovers, event.repeats, event.arguments, event.requested_for,
        event.executor, event.overridden_hold,
        k.source = 'commit' AND event.trigger <> 'manual' AND event.overridden_hold IS NULL, event.number, event.sequence
    FROM tb_kinds AS k WHERE k.name = event.kind;
    IF NOT FOUND THEN
        PERFORM refuse('unknown kind of deployment');
    END IF;
END $$;

-- The status of a deployment: the event that ends it names it.
CREATE FUNCTION fold_changed(event tb_deployment_events) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tb_deployments AS d
    SET status = CASE event.event
            WHEN 'claimed' THEN 'running'
            WHEN 'requeued' THEN 'pending'
            WHEN 'cancel_requested' THEN CASE d.status WHEN 'pending' THEN 'cancelled' ELSE d.status END
            ELSE event.event
        END,
        started_at = CASE event.event
            WHEN 'claimed' THEN coalesce(d.started_at, event.at)
            WHEN 'requeued' THEN NULL
            ELSE d.started_at
        END,
        completed_at = CASE
            WHEN event.event IN ('claimed', 'requeued') THEN NULL
            WHEN event.event = 'cancel_requested' AND d.status <> 'pending' THEN NULL
            ELSE event.at
        END,
        error_message = CASE
            WHEN event.event IN ('claimed', 'requeued', 'success') THEN NULL
            WHEN event.event = 'cancel_requested' AND d.status <> 'pending' THEN d.error_message
            ELSE coalesce(event.message, d.error_message)
        END,
        duration = event.duration,
        attempt = CASE event.event WHEN 'claimed' THEN event.attempt ELSE d.attempt END,
        superseded_by = event.superseded_by,
        cancel_requested = d.cancel_requested OR event.event = 'cancel_requested',
        position = CASE
            WHEN event.event = 'cancel_requested' AND d.status <> 'pending' THEN d.position
            ELSE event.sequence
        END,
        last_event = event.number
    WHERE d.id = event.deployment_id;
END $$;

-- What an attempt says while it goes on.
CREATE FUNCTION fold_progress(event tb_deployment_events) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    chosen boolean := event.event = 'release_chosen';
BEGIN
    UPDATE tb_deployments AS d
    SET activation_started = d.activation_started OR event.event = 'activation_started',
        rollback_started = d.rollback_started OR event.event = 'rollback_started',
        unrepeatable = d.unrepeatable OR (event.event = 'step_started' AND event.repeatable IS FALSE),
        error_message = CASE event.event WHEN 'rollback_started' THEN event.message ELSE d.error_message END,
        release = CASE WHEN chosen THEN event.release ELSE d.release END,
        commit_sha = CASE WHEN chosen THEN event.commit_sha ELSE d.commit_sha END,
        previous_release = CASE WHEN chosen THEN event.previous_release ELSE d.previous_release END,
        previous_commit_sha = CASE WHEN chosen THEN event.previous_commit_sha ELSE d.previous_commit_sha END,
        last_event = event.number
    WHERE d.id = event.deployment_id;
END $$;

CREATE FUNCTION fold_step(event tb_deployment_events) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF event.event = 'step_started' THEN
        INSERT INTO tb_steps (deployment_id, host, attempt, number, name, status, repeatable, started_at)
        VALUES (event.deployment_id, event.host, event.attempt, event.step_number, event.step, 'running',
                coalesce(event.repeatable, true), event.at);
    ELSE
        UPDATE tb_steps AS s
        SET status = event.step_status, completed_at = event.at, duration = event.duration,
            message = event.message
        WHERE s.deployment_id = event.deployment_id AND s.host = event.host AND s.attempt = event.attempt
          AND s.number = event.step_number;
    END IF;
END $$;

CREATE FUNCTION fold_serving(event tb_deployment_events) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tb_serving (fraise_id, environment, host, release, commit_sha, deployment_id, since)
    SELECT d.fraise_id, d.environment, event.host, event.release, event.commit_sha, d.id, event.at
    FROM tb_deployments AS d WHERE d.id = event.deployment_id
    ON CONFLICT (fraise_id, environment, host) DO UPDATE
    SET release = excluded.release, commit_sha = excluded.commit_sha,
        deployment_id = excluded.deployment_id, since = excluded.since;
END $$;

-- What a backup stored, where, and what is left to do.
CREATE FUNCTION fold_stored(event tb_deployment_events) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tb_deployments AS d
    SET stored_name = event.stored_name, stored_size = event.stored_size, stored_sha256 = event.stored_sha256,
        stored_at = event.stored_at, stored_problem = event.message, last_event = event.number
    WHERE d.id = event.deployment_id;
END $$;

CREATE FUNCTION fold_attempt(event tb_deployment_events) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF event.event = 'claimed' THEN
        INSERT INTO tb_attempts (deployment_id, host, attempt, started_at)
        VALUES (event.deployment_id, event.host, event.attempt, event.at);
        RETURN;
    END IF;
    UPDATE tb_attempts AS a SET completed_at = event.at, outcome = event.event
    WHERE a.deployment_id = event.deployment_id AND a.completed_at IS NULL;
    UPDATE tb_steps AS s SET status = 'interrupted', completed_at = event.at
    WHERE s.deployment_id = event.deployment_id AND s.status = 'running';
END $$;

CREATE FUNCTION fold(event tb_deployment_events) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CASE event.event
        WHEN 'requested' THEN
            PERFORM fold_requested(event);
        WHEN 'step_started', 'step_finished' THEN
            PERFORM fold_progress(event);
            PERFORM fold_step(event);
        WHEN 'serving' THEN
            PERFORM fold_progress(event);
            PERFORM fold_serving(event);
        WHEN 'stored' THEN
            PERFORM fold_stored(event);
        WHEN 'release_chosen', 'activation_started', 'rollback_started' THEN
            PERFORM fold_progress(event);
        ELSE
            PERFORM fold_changed(event);
            IF event.token IS NOT NULL AND event.event <> 'cancel_requested' THEN
                PERFORM fold_attempt(event);
            END IF;
    END CASE;
END $$;

-- Folding all events again, in one transaction: into tables of the same names beside those in use, which are then
-- filled from them. There, no index but the keys is kept: within a transaction, a row is found among all that it and
-- others of its key have been.
CREATE FUNCTION begin_fold() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    place text := current_schema();
BEGIN
    CREATE TEMPORARY TABLE tb_deployments (
        LIKE tb_deployments INCLUDING DEFAULTS, PRIMARY KEY (sequence), UNIQUE (id)) ON COMMIT DROP;
    CREATE TEMPORARY TABLE tb_attempts (LIKE tb_attempts INCLUDING DEFAULTS INCLUDING INDEXES) ON COMMIT DROP;
    CREATE TEMPORARY TABLE tb_steps (LIKE tb_steps INCLUDING DEFAULTS INCLUDING INDEXES) ON COMMIT DROP;
    CREATE TEMPORARY TABLE tb_serving (LIKE tb_serving INCLUDING DEFAULTS INCLUDING INDEXES) ON COMMIT DROP;
    PERFORM set_config('search_path', 'pg_temp, ' || quote_ident(place), true);
END $$;

CREATE FUNCTION fold_again(after bigint, until bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    event   tb_deployment_events;
    serving jsonb;
BEGIN
    FOR event IN
        SELECT * FROM tb_deployment_events AS e WHERE e.sequence > after AND e.sequence <= until ORDER BY e.sequence
    LOOP
        PERFORM fold(event);
    END LOOP;
    serving := (SELECT jsonb_agg(to_jsonb(s)) FROM tb_serving AS s);
    TRUNCATE tb_serving;  -- few rows, each of which was written often
    INSERT INTO tb_serving SELECT * FROM jsonb_populate_recordset(CAST(NULL AS tb_serving), serving);
END $$;

CREATE FUNCTION end_fold() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    place text := (SELECT quote_ident(n.nspname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                   WHERE c.oid = CAST('tb_deployment_events' AS regclass));
    name  text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tb_steps', 'tb_attempts', 'tb_serving', 'tb_deployments'] LOOP
        EXECUTE format('DELETE FROM %s.%I', place, name);
        EXECUTE format('INSERT INTO %s.%I SELECT * FROM pg_temp.%I', place, name, name);
        EXECUTE format('DROP TABLE pg_temp.%I', name);
    END LOOP;
    PERFORM set_config('search_path', place, true);
END $$;
