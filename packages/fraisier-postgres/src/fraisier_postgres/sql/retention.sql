-- What is looked at: the rows after `after`, with the bytes of those that are older than `before`. What has no time,
-- or one that is to come, holds up nothing.
-- No other writer waits while they are deleted, so their size does not matter.

-- name: payloads
SELECT p.sequence, CASE WHEN w.received_at < :before THEN 0 END AS bytes
FROM tb_webhook_payloads AS p LEFT JOIN tb_webhook_events AS w ON w.sequence = p.sequence
WHERE p.sequence > :after ORDER BY p.sequence LIMIT :rows;

-- name: logs
SELECT l.sequence, CASE WHEN l.at < :before THEN 0 END AS bytes
FROM tb_deployment_logs AS l WHERE l.sequence > :after ORDER BY l.sequence LIMIT :rows;

-- name: refused
SELECT r.sequence, CASE WHEN r.received_at < :before THEN 0 END AS bytes
FROM tb_refused_deliveries AS r WHERE r.sequence > :after ORDER BY r.sequence LIMIT :rows;

-- name: delete_payloads
DELETE FROM tb_webhook_payloads WHERE sequence = :sequence;

-- name: delete_logs
DELETE FROM tb_deployment_logs WHERE sequence = :sequence;

-- name: delete_refused
DELETE FROM tb_refused_deliveries WHERE sequence = :sequence;
