-- name: forget_fraises
UPDATE tb_fraises SET configured = 0;

-- name: forget_environments
UPDATE tb_environments SET configured = 0;

-- name: configure_fraise
INSERT INTO tb_fraises (id, type, description, repository, configured)
VALUES (:id, :type, :description, :repository, 1)
ON CONFLICT (id) DO UPDATE
SET type = excluded.type, description = excluded.description, repository = excluded.repository, configured = 1;

-- name: configure_environment
INSERT INTO tb_environments (fraise_id, environment, name, branch, configured)
VALUES (:fraise_id, :environment, :name, :branch, 1)
ON CONFLICT (fraise_id, environment) DO UPDATE
SET name = excluded.name, branch = excluded.branch, configured = 1;

-- name: request
INSERT INTO tb_deployment_events (
    deployment_id, number, event, at, fraise_id, environment, kind, trigger, requested_by, branch, commit_sha,
    webhook_event_id, release)
VALUES (
    :deployment_id, 1, 'requested', :at, :fraise_id, :environment, :kind, :trigger, :requested_by, :branch,
    :commit_sha, :webhook_event_id, :release);

-- name: append
INSERT INTO tb_deployment_events (
    deployment_id, number, event, at, token, host, attempt, requested_by, commit_sha, superseded_by, release,
    previous_release, previous_commit_sha, step, step_number, step_status, duration, message)
VALUES (
    :deployment_id, (SELECT last_event + 1 FROM tb_deployments WHERE id = :deployment_id), :event, :at, :token,
    :host, :attempt, :requested_by, :commit_sha, :superseded_by, :release, :previous_release,
    :previous_commit_sha, :step, :step_number, :step_status, :duration, :message);

-- name: deployment
SELECT d.*, w.before_sha FROM tb_deployments AS d
LEFT JOIN tb_webhook_events AS w ON w.id = d.webhook_event_id
WHERE d.id = :id;

-- name: claimable
-- What can run now, a rollback first; of one deployment where `id` is given.
SELECT id, attempt FROM tb_deployments AS waiting
WHERE status = 'pending' AND (:id IS NULL OR id = :id)
  AND NOT EXISTS (
      SELECT 1 FROM tb_deployments AS busy
      WHERE busy.fraise_id = waiting.fraise_id AND busy.environment = waiting.environment
        AND busy.status = 'running' AND busy.kind IN ('deploy', 'rollback'))
ORDER BY kind = 'rollback' DESC, sequence LIMIT 1;

-- name: take_lease
INSERT INTO tb_leases (deployment_id, host, attempt, boot_id, pid, pid_started, expires)
VALUES (:deployment_id, :host, :attempt, :boot_id, :pid, :pid_started, :expires)
RETURNING token;

-- name: leases
SELECT * FROM tb_leases WHERE host = :host;

-- name: renew_lease
UPDATE tb_leases SET expires = :expires WHERE token = :token;

-- name: record_command
UPDATE tb_leases SET command_pid = :pid, command_started = :started WHERE token = :token;

-- name: drop_lease
DELETE FROM tb_leases WHERE token = :token;

-- name: pending_of_environment
SELECT id FROM tb_deployments
WHERE fraise_id = :fraise_id AND environment = :environment AND kind = :kind AND status = 'pending';

-- name: pushed_commits
-- The newest deployments that pushes to the same branch or tag requested, other than the one at hand.
SELECT d.id, d.commit_sha, d.status, d.branch, d.requested_by, w.id AS webhook_event_id, w.before_sha
FROM tb_deployments AS d
LEFT JOIN tb_webhook_events AS w ON w.id = d.webhook_event_id
WHERE d.fraise_id = :fraise_id AND d.environment = :environment AND d.trigger = 'webhook'
  AND d.kind = 'deploy' AND d.branch IS :branch AND d.id <> :id
ORDER BY d.sequence DESC LIMIT 20;

-- name: serving
SELECT * FROM tb_serving WHERE fraise_id = :fraise_id AND environment = :environment AND host = :host;

-- name: healthy_releases
-- Where a rollback may go to, newest first, and whether somebody once rolled back from there.
SELECT
    release, commit_sha,
    EXISTS (SELECT 1 FROM tb_deployments AS back
            WHERE back.fraise_id = d.fraise_id AND back.environment = d.environment
              AND back.previous_release = d.release AND back.kind = 'rollback' AND back.status = 'success'
              AND back.sequence > d.sequence
           ) AS rolled_back_from
FROM tb_deployments AS d
WHERE fraise_id = :fraise_id AND environment = :environment AND status = 'success' AND kind = 'deploy'
  AND release IS NOT NULL
ORDER BY sequence DESC LIMIT 100;

-- name: append_log
INSERT INTO tb_deployment_logs (deployment_id, host, attempt, step_number, at, text, dropped)
VALUES (:deployment_id, :host, :attempt, :step_number, :at, :text, :dropped);

-- name: log_cut
-- The newest chunk of a step that has to go: together with those after it, it is more than the limit.
SELECT max(sequence) AS sequence FROM (
    SELECT sequence, sum(length(text)) OVER (ORDER BY sequence DESC) AS size FROM tb_deployment_logs
    WHERE deployment_id = :deployment_id AND step_number = :step_number AND attempt = :attempt)
WHERE size > :limit AND sequence < :newest;

-- name: carry_dropped
UPDATE tb_deployment_logs SET dropped = dropped + (
    SELECT sum(dropped + length(CAST(text AS BLOB))) FROM tb_deployment_logs
    WHERE deployment_id = :deployment_id AND step_number = :step_number AND attempt = :attempt
      AND sequence <= :cut)
WHERE sequence = (
    SELECT min(sequence) FROM tb_deployment_logs
    WHERE deployment_id = :deployment_id AND step_number = :step_number AND attempt = :attempt
      AND sequence > :cut);

-- name: trim_log
DELETE FROM tb_deployment_logs
WHERE deployment_id = :deployment_id AND step_number = :step_number AND attempt = :attempt
  AND sequence <= :cut;

-- name: heartbeat
INSERT INTO tb_workers (host, pid, pid_started, boot_id, heartbeat)
VALUES (:host, :pid, :pid_started, :boot_id, :heartbeat)
ON CONFLICT (host, pid) DO UPDATE
SET pid_started = excluded.pid_started, boot_id = excluded.boot_id, heartbeat = excluded.heartbeat;

-- name: forget_worker
DELETE FROM tb_workers WHERE host = :host AND pid = :pid;

-- name: forget_dead_workers
DELETE FROM tb_workers WHERE host = :host AND (boot_id <> :boot_id OR heartbeat < :oldest);

-- name: prove_writable
-- By a microsecond: where a row stays the same, SQLite writes nothing.
UPDATE tb_workers SET heartbeat = heartbeat + 0.000001;

-- name: live_workers
SELECT count(*) AS live FROM tb_workers WHERE boot_id = :boot_id AND heartbeat >= :oldest;

-- name: started_steps
SELECT number, name, status, attempt FROM tb_steps WHERE deployment_id = :id ORDER BY attempt, number;

-- name: cancellation
SELECT message FROM tb_deployment_events WHERE deployment_id = :id AND event = 'cancel_requested' LIMIT 1;

-- name: previously_active
SELECT previous_release FROM tb_deployment_events
WHERE deployment_id = :id AND event = 'activation_started' ORDER BY number LIMIT 1;
