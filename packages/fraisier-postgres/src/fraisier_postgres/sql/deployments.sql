-- name: forget_fraises
UPDATE tb_fraises SET configured = NOT configured WHERE configured;

-- name: forget_environments
-- Holds every environment, in the order in which all who hold several take them.
WITH held AS MATERIALIZED (
    SELECT fraise_id, environment FROM tb_environments ORDER BY fraise_id, environment FOR NO KEY UPDATE)
UPDATE tb_environments AS e SET configured = false FROM held
WHERE e.fraise_id = held.fraise_id AND e.environment = held.environment AND e.configured;

-- name: lock_environment_of
SELECT 1 FROM tb_environments AS e JOIN tb_deployments AS d USING (fraise_id, environment)
WHERE d.id = :deployment_id FOR NO KEY UPDATE OF e;

-- name: configure_fraise
INSERT INTO tb_fraises (id, type, description, repository, problem, configured)
VALUES (:fraise_id, :type, :description, :repository, :problem, true)
ON CONFLICT (id) DO UPDATE
SET type = excluded.type, description = excluded.description, repository = excluded.repository,
    problem = excluded.problem, configured = true;

-- name: configure_environment
-- Of kinds and of a job, what is not said stays as it was.
INSERT INTO tb_environments (fraise_id, environment, name, branch, app_path, position, kinds, overlap,
                             deploys_wait, executor, configured)
VALUES (:fraise_id, :environment, :name, :branch, :app_path, :position, CAST(:kinds AS jsonb), :overlap,
        CAST(:deploys_wait AS boolean), :executor, true)
ON CONFLICT (fraise_id, environment) DO UPDATE
SET name = excluded.name, branch = excluded.branch, app_path = excluded.app_path, position = excluded.position,
    kinds = coalesce(excluded.kinds, tb_environments.kinds),
    overlap = CASE WHEN CAST(:has_job AS boolean) THEN coalesce(excluded.overlap, tb_environments.overlap) END,
    deploys_wait = CASE WHEN CAST(:has_job AS boolean)
        THEN coalesce(excluded.deploys_wait, tb_environments.deploys_wait) END,
    executor = CASE WHEN CAST(:has_job AS boolean) THEN coalesce(excluded.executor, tb_environments.executor) END,
    configured = true;

-- name: known_kinds
SELECT name, source, lane, supersedes, shown, job, priority FROM tb_kinds;

-- name: add_kind
INSERT INTO tb_kinds (name, source, lane, supersedes, shown, job, priority)
VALUES (:name, :source, :lane, :supersedes, :shown, :job, :priority)
ON CONFLICT (name) DO UPDATE
SET source = excluded.source, lane = excluded.lane, supersedes = excluded.supersedes, shown = excluded.shown,
    job = excluded.job, priority = excluded.priority;

-- name: request
INSERT INTO tb_deployment_events (
    deployment_id, event, at, fraise_id, environment, kind, trigger, requested_by, ref, commit_sha,
    before_sha, pathspecs, reason, recovers, repeats, arguments, requested_for, overridden_hold, webhook_event_id,
    release)
VALUES (
    :deployment_id, 'requested', :at, :fraise_id, :environment, :kind, :trigger, :requested_by, :ref,
    :commit_sha, :before_sha, :pathspecs, :reason, :recovers, :repeats, :arguments, :requested_for,
    :overridden_hold, :webhook_event_id, :release);

-- name: append
-- The rules assign the number, once they hold the environment.
INSERT INTO tb_deployment_events (
    deployment_id, event, at, token, host, attempt, requested_by, commit_sha, superseded_by, release,
    previous_release, previous_commit_sha, step, step_number, step_status, repeatable, duration, message,
    stored_name, stored_size, stored_sha256, stored_at)
VALUES (
    :deployment_id, :event, :at, :token, :host, :attempt, :requested_by, :commit_sha, :superseded_by, :release,
    :previous_release, :previous_commit_sha, :step, :step_number, :step_status, :repeatable, :duration, :message,
    :stored_name, :stored_size, :stored_sha256, :stored_at);

-- name: newest_migration
SELECT max(name) AS name FROM tb_migrations;

-- name: claim
SELECT newest, token, (deployment).* FROM claim(
    CAST(:id AS uuid), :known, :durable, :at, :host, :boot_id, :pid, :pid_started, :seconds);

-- name: awaiting_units
-- What units execute and none has claimed, though it is its turn.
SELECT * FROM claimable_deployments
WHERE executor = 'unit'
  AND (CAST(:fraise_id AS text) IS NULL OR (fraise_id = :fraise_id AND environment = :environment))
ORDER BY sequence LIMIT :limit;

-- name: awaited_backups
SELECT * FROM claimable_deployments WHERE trigger = 'before_deploy' AND executor IS DISTINCT FROM 'unit' ORDER BY sequence;

-- name: take_lease
INSERT INTO tb_leases (deployment_id, host, attempt, boot_id, pid, pid_started, expires)
VALUES (:deployment_id, :host, :attempt, :boot_id, :pid, :pid_started,
        clock_timestamp() + make_interval(secs => :seconds))
RETURNING token;

-- name: leases
-- A lease expires only if its holder could have renewed it: not while the database itself was down. If one server
-- process crashed, all others start again but for the first, and so do the statistics.
SELECT *,
       expires < clock_timestamp()
       AND greatest(pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time())
           < clock_timestamp() - make_interval(secs => :seconds)
       AS expired
FROM tb_leases WHERE host = :host
ORDER BY (SELECT d.sequence FROM tb_deployments AS d WHERE d.id = deployment_id);

-- name: held_lease
-- Holds it, but not against its renewal.
SELECT 1 FROM tb_leases WHERE token = :token FOR KEY SHARE;

-- name: renew_lease
UPDATE tb_leases SET expires = clock_timestamp() + make_interval(secs => :seconds)
WHERE token = :token;

-- name: record_command
UPDATE tb_leases SET command_pid = :pid, command_started = :started WHERE token = :token;

-- name: drop_lease
DELETE FROM tb_leases WHERE token = :token;

-- name: waiting_instead
-- What waits and would supersede this deployment if it waited too.
SELECT id FROM tb_deployments
WHERE fraise_id = :fraise_id AND environment = :environment AND kind = :kind AND status = 'pending'
  AND supersedes AND (repeats IS NULL) = (CAST(:repeats AS uuid) IS NULL)
ORDER BY sequence DESC LIMIT 1;

-- name: superseding
-- What waits and supersedes this deployment if that waits again: not what is held while this is not.
SELECT id FROM tb_deployments
WHERE fraise_id = :fraise_id AND environment = :environment AND kind = :kind AND status = 'pending'
  AND supersedes AND (repeats IS NULL) = (CAST(:repeats AS uuid) IS NULL)
  AND NOT (NOT CAST(:obeys_holds AS boolean) AND obeys_holds AND EXISTS (
      SELECT FROM holds_in_force AS h
      WHERE h.fraise_id = tb_deployments.fraise_id
        AND (h.environment IS NULL OR h.environment = tb_deployments.environment)))
ORDER BY sequence DESC LIMIT 1;

-- name: is_last
-- A deployment after which nothing was requested in the lane of its kind, not even its cancellation; a run that
-- was skipped does not count: it may have been for this one.
SELECT 1 FROM tb_deployments AS last
WHERE id = :id AND NOT cancel_requested
  AND NOT EXISTS (
      SELECT 1 FROM tb_deployments AS later
      WHERE later.fraise_id = last.fraise_id AND later.environment = last.environment
        AND later.sequence > last.sequence
        AND (later.supersedes OR later.status <> 'skipped')
        AND (SELECT k.lane FROM tb_kinds AS k WHERE k.name = later.kind)
            IS NOT DISTINCT FROM (SELECT k.lane FROM tb_kinds AS k WHERE k.name = last.kind));

-- name: releases_in_use
-- What a deployment must not remove: runs and the like use the release that served when they began.
SELECT DISTINCT release FROM tb_deployments
WHERE fraise_id = :fraise_id AND environment = :environment
  AND (source = 'serving' OR source = 'nothing')
  AND (status = 'pending' OR status = 'running') AND release IS NOT NULL
ORDER BY release;

-- name: has_succeeded
SELECT 1 AS found FROM tb_deployments
WHERE fraise_id = :fraise_id AND environment = :environment AND release = :release AND kind = :kind
  AND arguments IS NOT DISTINCT FROM :arguments AND source = 'serving' AND status = 'success'
LIMIT 1;

-- name: pushed_commits
-- The newest deployments that pushes to the same ref requested, other than the one at hand: no rollbacks and
-- runs, which have no ref; no replays, neither
-- those that a user requests nor a repeated delivery whose commit was not found at its ref.
SELECT id AS deployment_id, commit_sha, before_sha FROM tb_deployments
WHERE fraise_id = :fraise_id AND environment = :environment AND ref IS NOT DISTINCT FROM :ref AND id <> :id
  AND source = 'commit' AND trigger <> 'manual' AND trigger <> 'replay'
  AND (repeats IS NULL OR release IS NOT NULL)
ORDER BY sequence DESC LIMIT 20;

-- name: requested_since
-- What was requested in the environment since the commit was last deployed from its ref, or requested, or else
-- since the delivery that is repeated; no replays, nor what uses the serving release.
SELECT 1 FROM tb_deployments AS since
WHERE since.fraise_id = :fraise_id AND since.environment = :environment AND since.id <> :id
  AND since.source <> 'serving' AND since.source <> 'nothing' AND since.trigger <> 'replay'
  AND (since.repeats IS NULL OR since.release IS NOT NULL)
  AND coalesce(
      since.sequence > (
          SELECT max(sequence) FROM tb_deployments
          WHERE fraise_id = :fraise_id AND environment = :environment AND ref = :ref
            AND commit_sha IN (:commit_sha, :deployed) AND id <> :id
            AND (repeats IS NULL OR release IS NOT NULL)),
      since.newest_delivery >= (SELECT sequence FROM tb_webhook_events WHERE id = :repeats))
ORDER BY since.sequence DESC LIMIT 1;

-- name: left_since
-- A delivery that says that the ref left its commit, or was deleted, since the commit was last deployed from it,
-- or requested; of deliveries that repeat another, only those that were found to be true. The addresses are compared
-- as well as the name: a secret that is bound to repositories verifies only these.
SELECT 1 FROM v_webhook_refs AS said
WHERE said.ref = :ref
  AND (said.commit_sha IS NULL OR (said.before_sha = :commit_sha AND said.commit_sha <> :commit_sha))
  AND (said.provider, said.repository) = (
      SELECT provider, repository FROM tb_webhook_events WHERE id = :repeats)
  AND (SELECT urls FROM tb_webhook_events WHERE id = said.webhook_event_id)
      = (SELECT urls FROM tb_webhook_events WHERE id = :repeats)
  AND said.sequence > (
      SELECT coalesce(max(newest_delivery), (SELECT sequence FROM tb_webhook_events WHERE id = :repeats))
      FROM tb_deployments
      WHERE fraise_id = :fraise_id AND environment = :environment AND ref = :ref
        AND commit_sha IN (:commit_sha, :deployed) AND id <> :id AND (repeats IS NULL OR release IS NOT NULL))
  AND (said.duplicate_of IS NULL
       OR EXISTS (SELECT 1 FROM tb_deployments AS found
                  WHERE found.webhook_event_id = said.webhook_event_id AND found.ref = said.ref
                    AND found.release IS NOT NULL))
LIMIT 1;

-- name: append_log
INSERT INTO tb_deployment_logs (deployment_id, host, attempt, step_number, at, text, dropped)
VALUES (:deployment_id, :host, :attempt, :step_number, :at, :text, :dropped)
RETURNING sequence;

-- name: log_cut
-- The newest chunk of a step that has to go: together with those after it, it is more than the limit.
SELECT max(sequence) AS sequence FROM (
    SELECT sequence, sum(length(text)) OVER (ORDER BY sequence DESC) AS size
    FROM tb_deployment_logs
    WHERE deployment_id = :deployment_id AND step_number = :step_number AND attempt = :attempt) AS sizes
WHERE size > :limit AND sequence < :newest;

-- name: carry_dropped
UPDATE tb_deployment_logs SET dropped = dropped + (
    SELECT sum(dropped + octet_length(text)) FROM tb_deployment_logs
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
-- One statement, as a worker that has nothing to do runs little else.
WITH forgotten AS (
    DELETE FROM tb_workers
    WHERE host = :host AND pid <> :pid
      AND (boot_id <> :boot_id OR heartbeat < clock_timestamp() - make_interval(secs => :seconds)))
INSERT INTO tb_workers (host, pid, pid_started, boot_id, heartbeat)
VALUES (:host, :pid, :pid_started, :boot_id, clock_timestamp())
ON CONFLICT (host, pid) DO UPDATE
SET pid_started = excluded.pid_started, boot_id = excluded.boot_id, heartbeat = excluded.heartbeat
RETURNING (SELECT max(name) FROM tb_migrations) AS newest;

-- name: forget_worker
DELETE FROM tb_workers WHERE host = :host AND pid = :pid;

-- name: prove_writable
-- A row that is not held: whoever proves or lives at the same moment does not wait.
UPDATE tb_workers AS w SET heartbeat = w.heartbeat
FROM (SELECT host, pid FROM tb_workers LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS one
WHERE w.host = one.host AND w.pid = one.pid;

-- name: cancellation
SELECT message FROM tb_deployment_events WHERE deployment_id = :id AND event = 'cancel_requested' LIMIT 1;

-- name: previously_active
SELECT previous_release FROM tb_deployment_events
WHERE deployment_id = :id AND event = 'activation_started' ORDER BY number LIMIT 1;

-- name: observed
SELECT sequence, attempts, problem, problem_at FROM tb_observers WHERE name = :name;

-- name: observe
INSERT INTO tb_observers (name, sequence, attempts, problem, problem_at)
VALUES (:name, :sequence, :attempts, :problem, :problem_at)
ON CONFLICT (name) DO UPDATE
SET sequence = excluded.sequence, attempts = excluded.attempts, problem = excluded.problem,
    problem_at = excluded.problem_at;

-- name: wake
SELECT wake();

-- name: record_untold
INSERT INTO tb_untold (deployment_id, observer, sequence, event, at, problem)
VALUES (:deployment_id, :observer, :sequence, :event, :at, :problem)
ON CONFLICT (deployment_id, observer) DO UPDATE
SET sequence = excluded.sequence, event = excluded.event, at = excluded.at, problem = excluded.problem;

-- name: forget_untold
DELETE FROM tb_untold WHERE deployment_id = :deployment_id AND observer = :observer AND sequence = :sequence;
