-- Only the oldest rows are looked at, however many there are.

-- name: payloads
DELETE FROM tb_webhook_payloads WHERE sequence IN (
    SELECT p.sequence FROM (SELECT sequence FROM tb_webhook_payloads ORDER BY sequence LIMIT :rows) AS p
    JOIN tb_webhook_events AS w ON w.sequence = p.sequence
    WHERE w.received_at < :before);

-- name: logs
DELETE FROM tb_deployment_logs WHERE sequence IN (
    SELECT l.sequence FROM (SELECT sequence, at FROM tb_deployment_logs ORDER BY sequence LIMIT :rows) AS l
    WHERE l.at < :before);

-- name: refused
DELETE FROM tb_refused_deliveries WHERE sequence IN (
    SELECT r.sequence
    FROM (SELECT sequence, received_at FROM tb_refused_deliveries ORDER BY sequence LIMIT :rows) AS r
    WHERE r.received_at < :before);
