-- name: status
SELECT
    fraise_id, environment, type, description, name, status, deployment_id, kind, commit_sha, ref, started_at,
    completed_at, duration, error_message, serving_release, serving_commit_sha, last_deployed, serving_unknown,
    pending, awaits_decision
FROM v_fraise_status
WHERE (:fraise_id IS NULL OR fraise_id = :fraise_id)
  AND (:environment IS NULL OR environment = :environment)
ORDER BY fraise_id, environment;

-- name: history
SELECT * FROM tb_deployments ORDER BY sequence DESC LIMIT :limit;

-- name: history_of_fraise
SELECT * FROM tb_deployments WHERE fraise_id = :fraise_id ORDER BY sequence DESC LIMIT :limit;

-- name: history_of_environment
SELECT * FROM tb_deployments WHERE fraise_id = :fraise_id AND environment = :environment
ORDER BY sequence DESC LIMIT :limit;

-- name: history_of_kind
-- Without what repeats a delivery and came to nothing; of such that others superseded, one for each delivery.
SELECT * FROM tb_deployments
WHERE fraise_id = :fraise_id AND environment = :environment AND kind = :kind
  AND (repeats IS NULL OR release IS NOT NULL OR (status <> 'superseded' AND status <> 'skipped')
       OR sequence IN (SELECT max(sequence) FROM tb_deployments
                       WHERE fraise_id = :fraise_id AND environment = :environment AND status = 'superseded'
                         AND repeats IS NOT NULL
                       GROUP BY repeats, ref, commit_sha))
ORDER BY sequence DESC LIMIT :limit;

-- name: previous_of_kind
-- The last that succeeded or failed before another of its kind.
SELECT * FROM tb_deployments
WHERE fraise_id = :fraise_id AND environment = :environment AND kind = :kind
  AND sequence < (SELECT sequence FROM tb_deployments WHERE id = :id)
  AND status IN ('success', 'failed', 'rolled_back', 'interrupted')
ORDER BY sequence DESC LIMIT 1;

-- name: deployments_by_prefix
SELECT id FROM tb_deployments WHERE id >= :prefix AND id < :after LIMIT 4;

-- name: deployments_by_pattern
SELECT id FROM (SELECT id FROM tb_deployments ORDER BY sequence DESC LIMIT 10000) WHERE id LIKE :pattern LIMIT 4;

-- name: deployment
SELECT * FROM tb_deployments WHERE id = :id;

-- name: steps
SELECT * FROM tb_steps WHERE deployment_id = :id ORDER BY attempt, number;

-- name: untold
SELECT observer, event, at, problem FROM tb_untold WHERE deployment_id = :id ORDER BY observer;

-- name: log
SELECT sequence, attempt, step_number, at, text, dropped FROM tb_deployment_logs
WHERE deployment_id = :id AND sequence > :after ORDER BY sequence;

-- name: newest_runs
-- Of each environment and kind of job the newest run that began, the newest that waits, the newest that a timer
-- requested, and of what needs no release the newest that succeeded.
SELECT d.* FROM tb_environments AS e
JOIN tb_kinds AS k ON k.job = 1
JOIN tb_deployments AS d ON d.sequence IN (
    (SELECT n.sequence FROM tb_deployments AS n INDEXED BY run_begun
     WHERE n.fraise_id = e.fraise_id AND n.environment = e.environment AND n.kind = k.name
       AND (n.source = 'serving' OR n.source = 'nothing') AND n.status <> 'pending' AND n.status <> 'skipped'
     ORDER BY n.sequence DESC LIMIT 1),
    (SELECT n.sequence FROM tb_deployments AS n INDEXED BY use_under_way
     WHERE n.fraise_id = e.fraise_id AND n.environment = e.environment AND n.kind = k.name
       AND (n.source = 'serving' OR n.source = 'nothing') AND n.status = 'pending'
       AND (n.status = 'pending' OR n.status = 'running')
     ORDER BY n.sequence DESC LIMIT 1),
    (SELECT n.sequence FROM tb_deployments AS n INDEXED BY run_of_a_schedule
     WHERE n.fraise_id = e.fraise_id AND n.environment = e.environment AND n.kind = k.name
       AND n.trigger = 'schedule'
     ORDER BY n.sequence DESC LIMIT 1),
    (SELECT n.sequence FROM tb_deployments AS n INDEXED BY run_begun
     WHERE n.fraise_id = e.fraise_id AND n.environment = e.environment AND n.kind = k.name AND k.source = 'nothing'
       AND (n.source = 'serving' OR n.source = 'nothing') AND n.status <> 'pending' AND n.status <> 'skipped'
       AND n.status = 'success'
     ORDER BY n.sequence DESC LIMIT 1))
WHERE (:fraise_id IS NULL OR e.fraise_id = :fraise_id) AND (:environment IS NULL OR e.environment = :environment)
ORDER BY d.sequence DESC;

-- name: pushes_ahead
-- Of each environment the newest of its pushes, if something else serves and was not deployed since.
SELECT d.* FROM tb_environments AS e
JOIN tb_serving AS s ON s.fraise_id = e.fraise_id AND s.environment = e.environment AND s.release IS NOT NULL
    AND s.since = (SELECT max(n.since) FROM tb_serving AS n
                   WHERE n.fraise_id = e.fraise_id AND n.environment = e.environment)
JOIN tb_deployments AS d ON d.sequence = coalesce(
    (SELECT max(n.sequence) FROM tb_deployments AS n INDEXED BY one_pending_deployment
     WHERE n.fraise_id = e.fraise_id AND n.environment = e.environment AND n.status = 'pending' AND n.source = 'commit'
       AND n.supersedes = 1 AND (n.trigger <> 'manual' OR n.commit_sha = s.commit_sha)),
    (SELECT n.sequence FROM tb_deployments AS n INDEXED BY deployment_of_note
     WHERE n.fraise_id = e.fraise_id AND n.environment = e.environment AND n.source = 'commit'
       AND n.status <> 'pending' AND n.status <> 'skipped' AND n.status <> 'superseded' AND n.shown = 1
       AND (n.trigger <> 'manual' OR n.commit_sha = s.commit_sha)
     ORDER BY n.sequence DESC LIMIT 1))
WHERE d.commit_sha IS NOT s.commit_sha AND (:fraise_id IS NULL OR e.fraise_id = :fraise_id) AND (:environment IS NULL OR e.environment = :environment);

-- name: any_hold
SELECT 1 FROM holds_in_force LIMIT 1;

-- name: holds
SELECT fraise_id, environment, cause, reason, held_by, begins_at, ends_at FROM environment_holds
WHERE (:fraise_id IS NULL OR fraise_id = :fraise_id)
  AND (:environment IS NULL OR environment = :environment)
ORDER BY fraise_id, environment;

-- name: requested_for
SELECT * FROM tb_deployments WHERE requested_for = :id ORDER BY sequence;

-- name: running
SELECT id FROM tb_deployments INDEXED BY one_running_deployment
WHERE fraise_id = :fraise_id AND environment = :environment AND status = 'running' AND lane = :lane;

-- name: awaited
-- What runs in the lane of a deployment that waits or, unless that supersedes, what comes first there before it and is
-- not held.
SELECT coalesce(
    (SELECT busy.id FROM tb_deployments AS busy INDEXED BY one_running_deployment
     WHERE busy.fraise_id = waiting.fraise_id AND busy.environment = waiting.environment
       AND busy.lane = waiting.lane AND busy.lane IS NOT NULL AND busy.status = 'running'),
    (SELECT ahead.id FROM tb_deployments AS ahead INDEXED BY pending_deployment
     WHERE ahead.fraise_id = waiting.fraise_id AND ahead.environment = waiting.environment
       AND ahead.status = 'pending' AND ahead.lane = waiting.lane AND waiting.supersedes = 0
       AND NOT (ahead.obeys_holds AND EXISTS (
           SELECT 1 FROM holds_in_force AS h
           WHERE h.fraise_id = ahead.fraise_id AND (h.environment IS NULL OR h.environment = ahead.environment)))
       AND (ahead.priority > waiting.priority
            OR (ahead.priority = waiting.priority AND ahead.sequence < waiting.sequence
                AND (ahead.executor IS 'unit' OR waiting.executor IS NOT 'unit')))
     ORDER BY ahead.priority DESC, ahead.sequence LIMIT 1)) AS id
FROM tb_deployments AS waiting WHERE waiting.id = :id AND waiting.status = 'pending';

-- name: events
SELECT * FROM tb_deployment_events WHERE sequence > :after ORDER BY sequence LIMIT :limit;

-- name: events_of_deployment
SELECT * FROM tb_deployment_events
WHERE deployment_id = :deployment_id AND sequence > :after ORDER BY number LIMIT :limit;

-- name: last_event
SELECT coalesce(max(sequence), 0) AS sequence, 0 AS attempts, NULL AS problem, NULL AS problem_at
FROM tb_deployment_events;

-- name: observer_problems
SELECT name, problem, problem_at FROM tb_observers WHERE problem_at IS NOT NULL ORDER BY name;

-- name: changes
SELECT position, id AS deployment_id, fraise_id, environment FROM v_deployment_changes
WHERE position > :after ORDER BY position LIMIT :limit;

-- name: output_after
SELECT sequence FROM tb_deployment_logs
WHERE deployment_id = :deployment_id AND sequence > :after ORDER BY sequence LIMIT :limit;

-- name: serving
SELECT * FROM tb_serving WHERE fraise_id = :fraise_id AND environment = :environment AND host = :host;

-- name: healthy_releases
-- The releases that a rollback may go to, newest first, and to which release the last rollback from each led.
SELECT
    release, commit_sha,
    (SELECT back.release FROM tb_deployments AS back
     WHERE back.fraise_id = d.fraise_id AND back.environment = d.environment
       AND back.previous_release = d.release AND back.source = 'release' AND back.status = 'success'
       AND back.sequence > d.sequence
     ORDER BY back.sequence DESC LIMIT 1
    ) AS rolled_back_to
FROM tb_deployments AS d
WHERE fraise_id = :fraise_id AND environment = :environment AND status = 'success' AND source = 'commit'
  AND release IS NOT NULL
ORDER BY sequence DESC LIMIT 100;

-- name: deliveries
-- Recorded and refused ones in one list; ids sort by time.
SELECT * FROM (
    SELECT id, received_at, provider, event_type, repository, ref, refs, commit_sha, pusher, verdict,
           duplicate_of, reasons, NULL AS client
    FROM v_webhook_events WHERE :verdict IS NULL OR verdict = :verdict LIMIT :limit)
UNION ALL
SELECT * FROM (
    SELECT id, received_at, provider, NULL, NULL, NULL, 0, NULL, NULL, 'refused', NULL, json_array(reason), client
    FROM tb_refused_deliveries WHERE :verdict IS NULL OR :verdict = 'refused'
    ORDER BY sequence DESC LIMIT :limit)
ORDER BY id DESC LIMIT :limit;

-- name: deliveries_by_prefix
SELECT id FROM (SELECT id FROM tb_webhook_events UNION ALL SELECT id FROM tb_refused_deliveries)
WHERE id >= :prefix AND id < :after LIMIT 4;

-- name: deliveries_by_pattern
SELECT id FROM (
    SELECT * FROM (SELECT id FROM tb_webhook_events ORDER BY sequence DESC LIMIT 10000)
    UNION ALL
    SELECT id FROM tb_refused_deliveries)
WHERE id LIKE :pattern LIMIT 4;

-- name: delivery
SELECT id, received_at, provider, event_type, repository, ref, refs, commit_sha, pusher, verdict, duplicate_of,
       reasons, NULL AS client
FROM v_webhook_events WHERE id = :id
UNION ALL
SELECT id, received_at, provider, NULL, NULL, NULL, 0, NULL, NULL, 'refused', NULL, json_array(reason), client
FROM tb_refused_deliveries WHERE id = :id;

-- name: delivered
-- A body is kept once: a duplicate has that of its first, which may repeat another itself.
SELECT id, delivery_id, urls, body_sha256,
       EXISTS (SELECT 1 FROM tb_webhook_events AS same JOIN tb_webhook_payloads USING (sequence)
               WHERE same.id IN (w.id, w.duplicate_of,
                                 (SELECT duplicate_of FROM tb_webhook_events WHERE id = w.duplicate_of))
              ) AS body_kept
FROM tb_webhook_events AS w WHERE id IN (SELECT value FROM json_each(:ids));

-- name: delivered_refs
-- As `v_webhook_refs`, whose every row SQLite would look at.
SELECT id AS webhook_event_id, 1 AS number, ref, commit_sha, before_sha, reasons FROM tb_webhook_events
WHERE ref IS NOT NULL AND id IN (SELECT value FROM json_each(:ids))
UNION ALL
SELECT webhook_event_id, number, ref, commit_sha, before_sha, reasons FROM tb_webhook_refs
WHERE webhook_event_id IN (SELECT value FROM json_each(:ids))
ORDER BY number;

-- name: deployments_of_deliveries
SELECT * FROM tb_deployments
WHERE webhook_event_id IN (SELECT value FROM json_each(:ids)) ORDER BY sequence;

-- name: newer_than
-- What came after a delivery, or after the first of the same, with another commit of a ref. A duplicate came with
-- its first, a deployment after the newest delivery of its time. Those of the delivery itself have another commit if
-- the forge named a tag object.
SELECT newer.id FROM tb_webhook_events AS own
JOIN (
    SELECT webhook_event_id AS id, provider, repository, sequence AS delivery, 0 AS deployment,
           NULL AS requested_by_event, NULL AS repeats
    FROM v_webhook_refs AS said
    WHERE ref = :ref AND commit_sha IS NOT :commit_sha
      AND NOT EXISTS (SELECT 1 FROM tb_webhook_events AS w
                      WHERE w.id = said.webhook_event_id AND w.verdict = 'duplicate')
    UNION ALL
    SELECT id, NULL, NULL, newest_delivery, sequence, webhook_event_id, repeats FROM tb_deployments
    WHERE fraise_id = :fraise_id AND environment = :environment AND ref = :ref AND commit_sha IS NOT :commit_sha
) AS newer ON (newer.delivery, newer.deployment) > (own.sequence, 0)
          AND (newer.provider IS NULL
               OR (newer.provider, newer.repository) = (own.provider, own.repository))
          AND newer.requested_by_event IS NOT own.id AND newer.repeats IS NOT own.id
          AND newer.requested_by_event IS NOT :delivery_id
WHERE own.id = (SELECT coalesce(duplicate_of, id) FROM tb_webhook_events WHERE id = :delivery_id)
ORDER BY newer.delivery DESC, newer.deployment DESC LIMIT 1;

-- name: live_workers
SELECT count(*) AS live FROM tb_workers WHERE boot_id = :boot_id AND heartbeat >= :now - :seconds;
