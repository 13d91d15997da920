-- What every database understands alike; what each says in a way of its own is in its `catalog.sql`.

-- name: request_sequence
SELECT coalesce(max(e.sequence), d.sequence) FROM tb_deployment_events AS e
WHERE e.deployment_id = d.id AND e.number = 1;

-- name: migrations
SELECT name FROM tb_migrations ORDER BY name;

-- name: forget_unended
DELETE FROM tb_deployments WHERE status = 'pending' OR status = 'running';

-- name: attempts
SELECT id, attempt FROM tb_deployments WHERE status = :status ORDER BY sequence;

-- name: closed
SELECT state, message, run FROM tb_closed;

-- name: insert_closed
INSERT INTO tb_closed (state, message, run) VALUES (:state, :message, :run);

-- name: fault_numbers
SELECT 'deployment ' || deployment_id || ': its events are not numbered from 1 without a gap' AS fault
FROM tb_deployment_events GROUP BY deployment_id HAVING min(number) <> 1 OR max(number) <> count(*);

-- name: use_fault_unheld
SELECT 'deployment ' || d.id || ' is running, but no process holds its lease' AS fault FROM tb_deployments AS d
WHERE d.status = 'running' AND NOT EXISTS (SELECT 1 FROM tb_leases AS l WHERE l.deployment_id = d.id);

-- name: use_fault_held
SELECT 'a process holds the lease of deployment ' || l.deployment_id || ', which is not running' AS fault
FROM tb_leases AS l
WHERE NOT EXISTS (SELECT 1 FROM tb_deployments AS d WHERE d.id = l.deployment_id AND d.status = 'running');

-- name: fault_unfinished
SELECT 'deployment ' || d.id || ' is ' || d.status || ', but has no time at which it ended' AS fault
FROM tb_deployments AS d
WHERE d.status <> 'pending' AND d.status <> 'running' AND d.completed_at IS NULL;

-- name: fault_refs
SELECT 'ref ' || r.number || ' belongs to delivery ' || r.webhook_event_id || ', which is missing' AS fault
FROM tb_webhook_refs AS r
WHERE NOT EXISTS (SELECT 1 FROM tb_webhook_events AS w WHERE w.id = r.webhook_event_id);

-- name: fault_bodies
SELECT 'a body belongs to delivery ' || p.webhook_event_id || ', which is missing' AS fault
FROM tb_webhook_payloads AS p
WHERE NOT EXISTS (
    SELECT 1 FROM tb_webhook_events AS w WHERE w.sequence = p.sequence AND w.id = p.webhook_event_id);

-- name: fault_deliveries
SELECT 'deployment ' || d.id || ' was requested by delivery ' || d.webhook_event_id || ', which is missing' AS fault
FROM tb_deployments AS d
WHERE d.webhook_event_id IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM tb_webhook_events AS w WHERE w.id = d.webhook_event_id);

-- name: fault_first
SELECT 'delivery ' || w.id || ' repeats delivery ' || w.duplicate_of || ', which is missing' AS fault
FROM tb_webhook_events AS w
WHERE w.duplicate_of IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM tb_webhook_events AS f WHERE f.id = w.duplicate_of);
