-- name: forget_fraises
UPDATE tb_fraises SET configured = 0;

-- name: forget_environments
UPDATE tb_environments SET configured = 0;

-- name: configure_fraise
INSERT INTO tb_fraises (id, type, description, repository, problem, configured)
VALUES (:fraise_id, :type, :description, :repository, :problem, 1)
ON CONFLICT (id) DO UPDATE
SET type = excluded.type, description = excluded.description, repository = excluded.repository,
    problem = excluded.problem, configured = 1;

-- name: configure_environment
-- Of kinds and of a job, what is not said stays as it was.
INSERT INTO tb_environments (fraise_id, environment, name, branch, app_path, position, kinds, overlap,
                             deploys_wait, executor, configured)
VALUES (:fraise_id, :environment, :name, :branch, :app_path, :position, :kinds, :overlap, :deploys_wait, :executor, 1)
ON CONFLICT (fraise_id, environment) DO UPDATE
SET name = excluded.name, branch = excluded.branch, app_path = excluded.app_path, position = excluded.position,
    kinds = coalesce(excluded.kinds, tb_environments.kinds),
    overlap = CASE WHEN :has_job THEN coalesce(excluded.overlap, tb_environments.overlap) END,
    deploys_wait = CASE WHEN :has_job THEN coalesce(excluded.deploys_wait, tb_environments.deploys_wait) END,
    executor = CASE WHEN :has_job THEN coalesce(excluded.executor, tb_environments.executor) END,
    configured = 1;

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
    deployment_id, number, event, at, fraise_id, environment, kind, trigger, requested_by, ref, commit_sha,
    before_sha, pathspecs, reason, recovers, repeats, arguments, requested_for, overlap, deploys_wait, executor,
    overridden_hold, webhook_event_id, release, newest_delivery)
SELECT
    :deployment_id, 1, 'requested', :at, :fraise_id, :environment, :kind, :trigger, :requested_by, :ref,
    :commit_sha, :before_sha, :pathspecs, :reason, :recovers, :repeats, :arguments, :requested_for, e.overlap,
    e.deploys_wait, e.executor, :overridden_hold, :webhook_event_id, :release,
    coalesce(
        (SELECT sequence FROM tb_webhook_events WHERE id = :webhook_event_id AND :trigger = 'webhook'),
        (SELECT max(sequence) FROM tb_webhook_events),
        0)
FROM (SELECT 1) LEFT JOIN tb_environments AS e
    ON e.fraise_id = :fraise_id AND e.environment = :environment
   AND (SELECT k.job FROM tb_kinds AS k WHERE k.name = :kind);

-- name: skip_overlapping
-- Ends a run that was requested while another of its environment was under way, if that is to be so. A deployment waits
-- for a backup of its own: another began before it.
INSERT INTO tb_deployment_events (deployment_id, number, event, at, message)
SELECT own.deployment_id, 2, 'skipped', own.at, busy.kind || ' ' || busy.id || ' is under way'
FROM tb_deployment_events AS own JOIN tb_deployments AS busy
    ON busy.fraise_id = own.fraise_id AND busy.environment = own.environment AND busy.kind = own.kind
   AND (busy.source = 'serving' OR busy.source = 'nothing') AND (busy.status = 'pending' OR busy.status = 'running')
   AND busy.id <> own.deployment_id
WHERE own.deployment_id = :deployment_id AND own.number = 1 AND own.overlap = 'skip' AND own.trigger <> 'before_deploy'
ORDER BY busy.sequence LIMIT 1;

-- name: append
INSERT INTO tb_deployment_events (
    deployment_id, number, event, at, token, host, attempt, requested_by, commit_sha, superseded_by, release,
    previous_release, previous_commit_sha, step, step_number, step_status, repeatable, duration, message,
    stored_name, stored_size, stored_sha256, stored_at)
VALUES (
    :deployment_id, (SELECT last_event + 1 FROM tb_deployments WHERE id = :deployment_id), :event, :at, :token,
    :host, :attempt, :requested_by, :commit_sha, :superseded_by, :release, :previous_release,
    :previous_commit_sha, :step, :step_number, :step_status, :repeatable, :duration, :message,
    :stored_name, :stored_size, :stored_sha256, :stored_at);

-- name: newest_migration
SELECT max(name) AS name FROM tb_migrations;

-- name: claimable
-- The next by priority, or the one of an id; what a unit executes is claimed by its id alone.
SELECT id, attempt FROM claimable_deployments
WHERE id = :id OR (:id IS NULL AND executor IS NOT 'unit')
ORDER BY priority DESC, sequence LIMIT 1;

-- name: awaiting_units
-- What units execute and none has claimed, though it is its turn.
SELECT * FROM claimable_deployments
WHERE executor = 'unit' AND (:fraise_id IS NULL OR (fraise_id = :fraise_id AND environment = :environment))
ORDER BY sequence LIMIT :limit;

-- name: awaited_backups
SELECT * FROM claimable_deployments WHERE trigger = 'before_deploy' AND executor IS NOT 'unit' ORDER BY sequence;

-- name: take_lease
INSERT INTO tb_leases (deployment_id, host, attempt, boot_id, pid, pid_started, expires)
VALUES (:deployment_id, :host, :attempt, :boot_id, :pid, :pid_started, :now + :seconds)
RETURNING token;

-- name: leases
SELECT *, expires < :now AS expired FROM tb_leases WHERE host = :host
ORDER BY (SELECT d.sequence FROM tb_deployments AS d WHERE d.id = deployment_id);

-- name: held_lease
SELECT 1 FROM tb_leases WHERE token = :token;

-- name: renew_lease
UPDATE tb_leases SET expires = :now + :seconds WHERE token = :token;

-- name: record_command
UPDATE tb_leases SET command_pid = :pid, command_started = :started WHERE token = :token;

-- name: drop_lease
DELETE FROM tb_leases WHERE token = :token;

-- name: waiting_instead
-- What waits and would supersede this deployment if it waited too.
SELECT id FROM tb_deployments
WHERE fraise_id = :fraise_id AND environment = :environment AND kind = :kind AND status = 'pending'
  AND supersedes = 1 AND (repeats IS NULL) = (:repeats IS NULL)
ORDER BY sequence DESC LIMIT 1;

-- name: superseding
-- What waits and supersedes this deployment if that waits again: not what is held while this is not.
SELECT id FROM tb_deployments
WHERE fraise_id = :fraise_id AND environment = :environment AND kind = :kind AND status = 'pending'
  AND supersedes = 1 AND (repeats IS NULL) = (:repeats IS NULL)
  AND NOT (:obeys_holds = 0 AND obeys_holds AND EXISTS (
      SELECT 1 FROM holds_in_force AS h
      WHERE h.fraise_id = tb_deployments.fraise_id
        AND (h.environment IS NULL OR h.environment = tb_deployments.environment)))
ORDER BY sequence DESC LIMIT 1;

-- name: is_last
-- A deployment after which nothing was requested in the lane of its kind, not even its cancellation; a run that
-- was skipped does not count: it may have been for this one.
SELECT 1 FROM tb_deployments AS last
WHERE id = :id AND cancel_requested = 0
  AND NOT EXISTS (
      SELECT 1 FROM tb_deployments AS later
      WHERE later.fraise_id = last.fraise_id AND later.environment = last.environment
        AND later.sequence > last.sequence
        AND (later.supersedes = 1 OR later.status <> 'skipped')
        AND (SELECT lane FROM tb_kinds WHERE name = later.kind) IS (SELECT lane FROM tb_kinds WHERE name = last.kind));

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
  AND arguments IS :arguments AND source = 'serving' AND status = 'success'
LIMIT 1;

-- name: pushed_commits
-- The newest deployments that pushes to the same ref requested, other than the one at hand: no rollbacks and
-- runs, which have no ref; no replays, neither
-- those that a user requests nor a repeated delivery whose commit was not found at its ref.
SELECT id AS deployment_id, commit_sha, before_sha FROM tb_deployments
WHERE fraise_id = :fraise_id AND environment = :environment AND ref IS :ref AND id <> :id
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
LIMIT 1;

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
VALUES (:host, :pid, :pid_started, :boot_id, :now)
ON CONFLICT (host, pid) DO UPDATE
SET pid_started = excluded.pid_started, boot_id = excluded.boot_id, heartbeat = excluded.heartbeat;

-- name: forget_worker
DELETE FROM tb_workers WHERE host = :host AND pid = :pid;

-- name: forget_dead_workers
DELETE FROM tb_workers WHERE host = :host AND (boot_id <> :boot_id OR heartbeat < :now - :seconds);

-- name: prove_writable
-- By a microsecond: where a row stays the same, SQLite writes nothing.
UPDATE tb_workers SET heartbeat = heartbeat + 0.000001;

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

-- name: record_untold
INSERT INTO tb_untold (deployment_id, observer, sequence, event, at, problem)
VALUES (:deployment_id, :observer, :sequence, :event, :at, :problem)
ON CONFLICT (deployment_id, observer) DO UPDATE
SET sequence = excluded.sequence, event = excluded.event, at = excluded.at, problem = excluded.problem;

-- name: forget_untold
DELETE FROM tb_untold WHERE deployment_id = :deployment_id AND observer = :observer AND sequence = :sequence;
