-- Read side: what the CLI, the web app and other programs read. In JSON a time is text as SQLite has it.

CREATE FUNCTION utc(at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- What keeps pushes waiting, did or will: what users held, and the windows of `freeze:`.
CREATE VIEW v_deployment_holds AS
SELECT
    h.id, h.cause, h.fraise_id, h.environment, h.reason, h.held_by, h.begins_at, h.ends_at, h.resumed_at, h.resumed_by,
    jsonb_build_object(
        'id', h.id, 'cause', h.cause, 'fraise_id', h.fraise_id, 'environment', h.environment, 'reason', h.reason,
        'held_by', h.held_by, 'begins_at', utc(h.begins_at), 'ends_at', utc(h.ends_at),
        'resumed_at', utc(h.resumed_at), 'resumed_by', h.resumed_by) AS data
FROM tb_holds AS h;

-- Of each environment that is held the hold that ends last.
CREATE VIEW environment_holds AS
SELECT e.fraise_id, e.environment, h.cause, h.reason, h.held_by, h.begins_at, h.ends_at, h.data
FROM tb_environments AS e JOIN v_deployment_holds AS h ON h.id = (
    SELECT n.id FROM holds_in_force AS n
    WHERE n.fraise_id = e.fraise_id AND (n.environment IS NULL OR n.environment = e.environment)
    ORDER BY n.ends_at DESC NULLS FIRST, n.id LIMIT 1);

-- The deployments, newest first. What is not selected is not computed: neither the lists nor `data`, which is the
-- row as an object in JSON. Of the output the newest thousand chunks.
CREATE VIEW v_deployment_history AS
SELECT
    h.*,
    jsonb_build_object(
        'id', h.id, 'fraise_id', h.fraise_id, 'environment', h.environment, 'kind', h.kind, 'status', h.status,
        'requested_at', utc(h.requested_at), 'started_at', utc(h.started_at),
        'completed_at', utc(h.completed_at), 'duration', h.duration, 'error_message', h.error_message,
        'commit_sha', h.commit_sha, 'ref', h.ref, 'before_sha', h.before_sha, 'pathspecs', h.pathspecs,
        'reason', h.reason, 'trigger', h.trigger, 'requested_by', h.requested_by,
        'webhook_event_id', h.webhook_event_id, 'release', h.release, 'previous_release', h.previous_release,
        'previous_commit_sha', h.previous_commit_sha, 'superseded_by', h.superseded_by, 'recovers', h.recovers,
        'repeats', h.repeats, 'arguments', h.arguments, 'requested_for', h.requested_for, 'lane', h.lane,
        'executor', h.executor, 'overridden_hold', h.overridden_hold, 'obeys_holds', h.obeys_holds, 'hold', h.hold,
        'stored_name', h.stored_name, 'stored_size', h.stored_size, 'stored_sha256', h.stored_sha256,
        'stored_at', h.stored_at, 'stored_problem', h.stored_problem, 'attempt', h.attempt,
        'activation_started', h.activation_started, 'rollback_started', h.rollback_started, 'unrepeatable', h.unrepeatable,
        'cancel_requested', h.cancel_requested, 'position', h.position, 'sequence', h.sequence,
        'steps', h.steps, 'output', h.output, 'events', h.events, 'untold', h.untold) AS data
FROM (
    SELECT
        d.id, d.fraise_id, d.environment, d.kind, d.status, d.requested_at, d.started_at, d.completed_at,
        d.duration, d.error_message, d.commit_sha, d.ref, d.before_sha, d.pathspecs, d.reason, d.trigger,
        d.requested_by, d.webhook_event_id, d.release, d.previous_release, d.previous_commit_sha, d.superseded_by,
        d.recovers, d.repeats, d.arguments, d.requested_for, d.lane, d.executor, d.overridden_hold, d.obeys_holds,
        CASE WHEN d.status = 'pending' AND d.obeys_holds THEN (
            SELECT h.data FROM environment_holds AS h
            WHERE h.fraise_id = d.fraise_id AND h.environment = d.environment)
        END AS hold,
        d.stored_name, d.stored_size, d.stored_sha256, d.stored_at, d.stored_problem, d.attempt,
        d.activation_started, d.rollback_started, d.unrepeatable, d.cancel_requested, d.position, d.sequence,
        (SELECT coalesce(jsonb_agg(jsonb_build_object(
             'attempt', s.attempt, 'number', s.number, 'name', s.name, 'status', s.status,
             'repeatable', s.repeatable, 'started_at', utc(s.started_at), 'completed_at', utc(s.completed_at),
             'duration', s.duration, 'message', s.message) ORDER BY s.attempt, s.number), '[]')
         FROM tb_steps AS s WHERE s.deployment_id = d.id) AS steps,
        (SELECT coalesce(jsonb_agg(jsonb_build_object(
             'deployment_id', o.deployment_id, 'sequence', o.sequence, 'attempt', o.attempt,
             'step_number', o.step_number, 'at', utc(o.at), 'text', o.text, 'dropped', o.dropped)
             ORDER BY o.sequence), '[]')
         FROM (SELECT * FROM tb_deployment_logs AS l WHERE l.deployment_id = d.id
               ORDER BY l.sequence DESC LIMIT 1000) AS o) AS output,
        (SELECT coalesce(jsonb_agg(jsonb_build_object(
             'sequence', e.sequence, 'number', e.number, 'event', e.event, 'at', utc(e.at), 'attempt', e.attempt,
             'commit_sha', e.commit_sha, 'superseded_by', e.superseded_by, 'release', e.release, 'step', e.step,
             'step_number', e.step_number, 'step_status', e.step_status, 'duration', e.duration,
             'message', e.message) ORDER BY e.number), '[]')
         FROM tb_deployment_events AS e WHERE e.deployment_id = d.id) AS events,
        (SELECT coalesce(jsonb_agg(jsonb_build_object(
             'observer', u.observer, 'event', u.event, 'at', utc(u.at), 'problem', u.problem) ORDER BY u.observer), '[]')
         FROM tb_untold AS u WHERE u.deployment_id = d.id) AS untold
    FROM tb_deployments AS d) AS h
ORDER BY h.sequence DESC;

-- A deployment as it was after each change of its status, at the `position` of the event that changed it; the lists
-- are those of now.
CREATE VIEW v_deployment_changes AS
SELECT
    d.id, d.fraise_id, d.environment, d.kind,
    CASE
        WHEN e.event IN ('requested', 'requeued') THEN 'pending'
        WHEN e.event = 'claimed' THEN 'running'
        WHEN e.event = 'cancel_requested' THEN 'cancelled'
        ELSE e.event
    END AS status,
    d.requested_at,
    (SELECT min(c.at) FROM tb_deployment_events AS c
     WHERE c.deployment_id = e.deployment_id AND c.number <= e.number AND c.event = 'claimed'
       AND c.number > coalesce(
           (SELECT max(r.number) FROM tb_deployment_events AS r
            WHERE r.deployment_id = e.deployment_id AND r.number <= e.number AND r.event = 'requeued'),
           0)
    ) AS started_at,
    CASE WHEN e.event NOT IN ('requested', 'claimed', 'requeued') THEN e.at END AS completed_at,
    e.duration,
    CASE WHEN e.event NOT IN ('requested', 'claimed', 'requeued', 'success') THEN coalesce(
        e.message,
        (SELECT r.message FROM tb_deployment_events AS r
         WHERE r.deployment_id = e.deployment_id AND r.number < e.number AND r.attempt = e.attempt
           AND r.event = 'rollback_started'
         ORDER BY r.number DESC LIMIT 1))
    END AS error_message,
    c.commit_sha, d.ref, d.before_sha, d.pathspecs, d.reason, d.trigger, d.requested_by, d.webhook_event_id,
    c.release, c.previous_release, c.previous_commit_sha, e.superseded_by, d.recovers, d.repeats,
    d.arguments, d.requested_for, d.lane, d.executor, d.overridden_hold, d.obeys_holds,
    CASE WHEN e.event IN ('requested', 'requeued') THEN (
        SELECT h.hold FROM v_deployment_history AS h WHERE h.id = e.deployment_id)
    END AS hold,
    (SELECT r.stored_name FROM tb_deployment_events AS r
     WHERE r.deployment_id = e.deployment_id AND r.number <= e.number AND r.event = 'stored'
     ORDER BY r.number DESC LIMIT 1) AS stored_name,
    (SELECT r.stored_size FROM tb_deployment_events AS r
     WHERE r.deployment_id = e.deployment_id AND r.number <= e.number AND r.event = 'stored'
     ORDER BY r.number DESC LIMIT 1) AS stored_size,
    (SELECT r.stored_sha256 FROM tb_deployment_events AS r
     WHERE r.deployment_id = e.deployment_id AND r.number <= e.number AND r.event = 'stored'
     ORDER BY r.number DESC LIMIT 1) AS stored_sha256,
    (SELECT r.stored_at FROM tb_deployment_events AS r
     WHERE r.deployment_id = e.deployment_id AND r.number <= e.number AND r.event = 'stored'
     ORDER BY r.number DESC LIMIT 1) AS stored_at,
    (SELECT r.message FROM tb_deployment_events AS r
     WHERE r.deployment_id = e.deployment_id AND r.number <= e.number AND r.event = 'stored'
     ORDER BY r.number DESC LIMIT 1) AS stored_problem,
    CASE WHEN e.event = 'requested' THEN 0 ELSE coalesce(e.attempt, d.attempt) END AS attempt,
    EXISTS (SELECT 1 FROM tb_deployment_events AS r
            WHERE r.deployment_id = e.deployment_id AND r.number <= e.number AND r.event = 'activation_started'
           ) AS activation_started,
    EXISTS (SELECT 1 FROM tb_deployment_events AS r
            WHERE r.deployment_id = e.deployment_id AND r.number <= e.number AND r.event = 'rollback_started'
           ) AS rollback_started,
    EXISTS (SELECT 1 FROM tb_deployment_events AS r
            WHERE r.deployment_id = e.deployment_id AND r.number <= e.number AND r.event = 'step_started'
              AND r.repeatable IS FALSE
           ) AS unrepeatable,
    EXISTS (SELECT 1 FROM tb_deployment_events AS r
            WHERE r.deployment_id = e.deployment_id AND r.number <= e.number AND r.event = 'cancel_requested'
           ) AS cancel_requested,
    e.sequence AS position, d.sequence,
    (SELECT h.steps FROM v_deployment_history AS h WHERE h.id = e.deployment_id) AS steps,
    (SELECT h.output FROM v_deployment_history AS h WHERE h.id = e.deployment_id) AS output,
    (SELECT h.events FROM v_deployment_history AS h WHERE h.id = e.deployment_id) AS events,
    (SELECT h.untold FROM v_deployment_history AS h WHERE h.id = e.deployment_id) AS untold
FROM tb_deployment_events AS e
JOIN tb_deployments AS d ON d.id = e.deployment_id
CROSS JOIN LATERAL (
    SELECT r.commit_sha, r.release, r.previous_release, r.previous_commit_sha FROM tb_deployment_events AS r
    WHERE r.deployment_id = e.deployment_id AND r.number <= e.number
      AND r.event IN ('requested', 'release_chosen')
    ORDER BY r.number DESC LIMIT 1) AS c
WHERE e.event NOT IN ('cancel_requested', 'step_started', 'step_finished', 'release_chosen', 'activation_started',
                      'rollback_started', 'serving', 'stored')
   OR e.sequence = d.position;

-- The changes after a position, as `events_after` returns the events.
CREATE FUNCTION changes_after(after bigint, most bigint)
RETURNS TABLE ("position" bigint, deployment_id uuid, fraise_id text, environment text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    stable bigint := stable_sequence();
BEGIN
    RETURN QUERY SELECT v.position, v.id, v.fraise_id, v.environment FROM v_deployment_changes AS v
    WHERE v.position > after AND v.position <= stable ORDER BY v.position LIMIT most;
END $$;

-- One row for each fraise and environment: its last deployment of note, and the serving release. One that did
-- not succeed awaits a decision if nothing else is under way; a cancellation decides about itself alone, and what is held
-- about nothing that was not.
CREATE VIEW v_fraise_status AS
SELECT
    s.*,
    jsonb_build_object(
        'fraise_id', s.fraise_id, 'environment', s.environment, 'type', s.type, 'description', s.description,
        'name', s.name, 'status', s.status, 'deployment_id', s.deployment_id, 'kind', s.kind,
        'commit_sha', s.commit_sha, 'ref', s.ref, 'requested_at', utc(s.requested_at),
        'started_at', utc(s.started_at), 'completed_at', utc(s.completed_at), 'duration', s.duration,
        'error_message', s.error_message, 'serving_release', s.serving_release,
        'serving_commit_sha', s.serving_commit_sha, 'last_deployed', utc(s.last_deployed),
        'serving_unknown', s.serving_unknown, 'pending', s.pending, 'awaits_decision', s.awaits_decision,
        'serving', s.serving, 'branch_heads', s.branch_heads, 'hold', s.hold) AS data
FROM (
    SELECT
        e.fraise_id, e.environment, f.type, f.description, e.name,
        d.status, d.id AS deployment_id, d.kind, d.commit_sha, d.ref, d.requested_at, d.started_at,
        d.completed_at, d.duration, d.error_message,
        s.release AS serving_release, s.commit_sha AS serving_commit_sha, s.since AS last_deployed,
        s.since IS NOT NULL AND s.release IS NULL AS serving_unknown,
        p.sequence IS NOT NULL AS pending,
        CASE
            WHEN d.status IN ('failed', 'rolled_back', 'interrupted') THEN d.id
            WHEN d.status = 'cancelled' OR (d.status = 'pending' AND d.obeys_holds AND EXISTS (
                SELECT FROM holds_in_force AS h
                WHERE h.fraise_id = e.fraise_id AND (h.environment IS NULL OR h.environment = e.environment))) THEN (
                SELECT CASE WHEN n.status IN ('failed', 'rolled_back', 'interrupted')
                                 AND NOT (d.status = 'pending' AND n.obeys_holds) THEN n.id END
                FROM tb_deployments AS n
                WHERE n.fraise_id = e.fraise_id AND n.environment = e.environment AND n.status <> 'cancelled'
                  AND n.status <> 'pending' AND n.status <> 'skipped' AND n.status <> 'superseded' AND n.shown
                ORDER BY n.sequence DESC LIMIT 1)
        END AS awaits_decision,
        CASE WHEN s.release IS NOT NULL THEN
            jsonb_build_object('name', s.release, 'commit_sha', s.commit_sha, 'since', utc(s.since))
        END AS serving,
        (SELECT coalesce(jsonb_agg(jsonb_build_object(
             'ref', h.ref, 'head', h.head, 'seen_at', utc(h.seen_at), 'problem', h.problem) ORDER BY h.ref), '[]')
         FROM tb_branch_heads AS h WHERE h.fraise_id = e.fraise_id AND h.environment = e.environment
        ) AS branch_heads,
        (SELECT h.data FROM environment_holds AS h
         WHERE h.fraise_id = e.fraise_id AND h.environment = e.environment) AS hold
    FROM tb_environments AS e
    JOIN tb_fraises AS f ON f.id = e.fraise_id AND e.configured
    LEFT JOIN LATERAL (
        SELECT w.sequence FROM tb_deployments AS w
        WHERE w.fraise_id = e.fraise_id AND w.environment = e.environment AND w.status = 'pending' AND w.shown
        ORDER BY w.obeys_holds, w.sequence DESC LIMIT 1) AS p ON true
    LEFT JOIN LATERAL (
        SELECT n.sequence FROM tb_deployments AS n
        WHERE n.fraise_id = e.fraise_id AND n.environment = e.environment
          AND n.status <> 'pending' AND n.status <> 'skipped' AND n.status <> 'superseded' AND n.shown
        ORDER BY n.sequence DESC LIMIT 1) AS l ON true
    LEFT JOIN LATERAL (
        SELECT c.* FROM tb_deployments AS c WHERE c.sequence = coalesce(p.sequence, l.sequence) LIMIT 1) AS d ON true
    LEFT JOIN LATERAL (
        SELECT n.* FROM tb_serving AS n
        WHERE n.fraise_id = e.fraise_id AND n.environment = e.environment ORDER BY n.since DESC LIMIT 1) AS s ON true) AS s
ORDER BY s.fraise_id, s.environment;

-- What is configured, in the order of the configuration, each with its newest 10 deployments.
CREATE VIEW v_fraises AS
SELECT
    f.*,
    jsonb_build_object(
        'id', f.id, 'name', f.name, 'type', f.type, 'description', f.description, 'repository', f.repository,
        'problem', f.problem, 'environments', f.environments, 'deployment_history', f.deployment_history) AS data
FROM (
    SELECT
        f.id, f.id AS name, f.type, f.description, f.repository, f.problem,
        (SELECT coalesce(jsonb_agg(jsonb_build_object(
             'fraise_id', e.fraise_id, 'environment', e.environment, 'name', e.name, 'branch', e.branch,
             'app_path', e.app_path, 'status', v.data) ORDER BY e.position), '[]')
         FROM tb_environments AS e
         JOIN v_fraise_status AS v ON v.fraise_id = e.fraise_id AND v.environment = e.environment
         WHERE e.fraise_id = f.id AND e.configured) AS environments,
        (SELECT coalesce(jsonb_agg(h.data), '[]')
         FROM (SELECT v.data FROM v_deployment_history AS v WHERE v.fraise_id = f.id LIMIT 10) AS h
        ) AS deployment_history
    FROM tb_fraises AS f
    WHERE f.configured) AS f
ORDER BY
    (SELECT min(e.position) FROM tb_environments AS e WHERE e.fraise_id = f.id AND e.configured),
    f.id;

-- Aggregates over the deployments that ran to an end; durations in seconds. The key in `data` is what FraiseQL looks
-- for if the field is called p95Duration.
CREATE VIEW v_deployment_stats AS
SELECT
    s.*,
    jsonb_build_object(
        'fraise_id', s.fraise_id, 'environment', s.environment, 'total', s.total, 'success', s.success,
        'failed', s.failed, 'rolled_back', s.rolled_back, 'success_rate', s.success_rate,
        'mean_duration', s.mean_duration, 'median_duration', s.median_duration, 'p_95_duration', s.p95_duration,
        'deployments_per_day', s.deployments_per_day) AS data
FROM (
    WITH ended AS (
        SELECT fraise_id, environment, status, duration, completed_at,
               row_number() OVER (PARTITION BY fraise_id, environment ORDER BY duration) AS rank,
               count(*) OVER (PARTITION BY fraise_id, environment) AS total
        FROM tb_deployments
        WHERE shown AND duration IS NOT NULL
          AND status IN ('success', 'failed', 'rolled_back')
    )
    SELECT
        fraise_id, environment, total,
        count(*) FILTER (WHERE status = 'success') AS success, count(*) FILTER (WHERE status = 'failed') AS failed,
        count(*) FILTER (WHERE status = 'rolled_back') AS rolled_back,
        CAST(count(*) FILTER (WHERE status = 'success') AS double precision) / total AS success_rate,
        avg(duration) AS mean_duration,
        max(duration) FILTER (WHERE rank = (total + 1) / 2) AS median_duration,
        max(duration) FILTER (WHERE rank = (95 * total + 99) / 100) AS p95_duration,
        total / greatest(
            1.0, CAST(extract(epoch FROM max(completed_at) - min(completed_at)) AS double precision) / 86400
        ) AS deployments_per_day
    FROM ended
    GROUP BY fraise_id, environment, total) AS s
ORDER BY s.fraise_id, s.environment;

-- The verified deliveries, newest first.
CREATE VIEW v_webhook_events AS
SELECT
    w.*,
    jsonb_build_object(
        'id', w.id, 'provider', w.provider, 'event_type', w.event_type, 'delivery_id', w.delivery_id,
        'repository', w.repository, 'urls', w.urls, 'ref', w.ref, 'branch', w.branch,
        'commit_sha', w.commit_sha, 'before_sha', w.before_sha, 'pusher', w.pusher,
        'received_at', utc(w.received_at), 'verdict', w.verdict, 'duplicate_of', w.duplicate_of,
        'reasons', w.reasons, 'body_sha256', w.body_sha256, 'refs', w.refs, 'sequence', w.sequence) AS data
FROM (
    SELECT
        w.id, w.provider, w.event_type, w.delivery_id, w.repository, w.urls, w.ref, w.branch, w.commit_sha,
        w.before_sha, w.pusher, w.received_at, w.verdict, w.duplicate_of, w.reasons, w.body_sha256,
        1 + (SELECT count(*) FROM tb_webhook_refs AS r WHERE r.webhook_event_id = w.id) AS refs, w.sequence
    FROM tb_webhook_events AS w) AS w
ORDER BY w.sequence DESC;

-- Every ref that a delivery pushed, the first as number 1.
CREATE VIEW v_webhook_refs AS
SELECT
    w.id AS webhook_event_id, 1 AS number, w.provider, w.repository, w.ref, w.commit_sha, w.before_sha,
    w.reasons, w.received_at, w.duplicate_of, w.sequence
FROM tb_webhook_events AS w
WHERE w.ref IS NOT NULL
UNION ALL
SELECT
    w.id, r.number, w.provider, w.repository, r.ref, r.commit_sha, r.before_sha, r.reasons, w.received_at,
    w.duplicate_of, w.sequence
FROM tb_webhook_refs AS r
JOIN tb_webhook_events AS w ON w.id = r.webhook_event_id;

-- What people and clients did and were refused: what was requested, cancelled, held, resumed or deployed in spite of a
-- hold, and what only the audit says.
CREATE VIEW v_audit_events AS
SELECT a.at, a.actor, a.action, a.subject, a.detail, a.occurrences FROM tb_audit_events AS a
UNION ALL
SELECT d.requested_at, d.requested_by, d.kind, d.fraise_id || ' ' || d.environment, 'deployment ' || d.id, 1
FROM tb_deployments AS d
WHERE d.trigger <> 'webhook' AND d.trigger <> 'recovery' AND d.requested_by IS NOT NULL
UNION ALL
SELECT e.at, e.requested_by, 'cancel', d.fraise_id || ' ' || d.environment, 'deployment ' || d.id, 1
FROM tb_deployments AS d
JOIN tb_deployment_events AS e ON e.deployment_id = d.id AND e.event = 'cancel_requested'
WHERE d.cancel_requested
UNION ALL
SELECT h.begins_at, h.held_by, 'hold', h.fraise_id || coalesce(' ' || h.environment, ''),
       h.reason || coalesce(', until ' || utc(h.ends_at), ''), 1
FROM tb_holds AS h WHERE h.cause = 'manual'
UNION ALL
SELECT h.resumed_at, h.resumed_by, 'resume', h.fraise_id || coalesce(' ' || h.environment, ''), h.reason, 1
FROM tb_holds AS h WHERE h.resumed_at IS NOT NULL
UNION ALL
SELECT d.requested_at, d.requested_by, 'override_hold', d.fraise_id || ' ' || d.environment,
       'deployment ' || d.id || ', held: ' || d.overridden_hold, 1
FROM tb_deployments AS d WHERE d.overridden_hold IS NOT NULL AND d.trigger = 'manual';
