-- name: deliveries
INSERT INTO tb_webhook_events (
    sequence, id, provider, event_type, body_sha256, urls, ref, received_at, verdict, reasons)
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :deployments)
SELECT n, printf('00000000-0000-7000-8000-%012x', n), 'forge', 'push', :hash, '[]', 'refs/heads/main',
       '2026-01-31T12:00:00.000000Z', 'accepted', '["matched"]'
FROM numbers;

-- name: bodies
INSERT INTO tb_webhook_payloads (sequence, webhook_event_id, body)
SELECT sequence, id, :body FROM tb_webhook_events;

-- name: events
INSERT INTO tb_deployment_events (
    sequence, deployment_id, number, event, at, token, host, attempt, fraise_id, environment, kind, trigger,
    webhook_event_id, newest_delivery, step, step_number, step_status, repeatable, release, commit_sha, duration)
WITH kinds (number, event) AS (
    VALUES (1, 'requested'), (2, 'claimed'), (3, 'step_started'), (4, 'step_finished'), (5, 'serving'), (6, 'success'))
SELECT 6 * sequence + number, printf('10000000-0000-7000-8000-%012x', sequence), number, event, received_at,
       iif(number > 1, sequence, NULL), iif(number > 1, 'barn', NULL), iif(number > 1, 1, NULL),
       iif(number = 1, 'cellar', NULL), iif(number = 1, 'live', NULL), iif(number = 1, 'deploy', NULL),
       iif(number = 1, 'webhook', NULL), iif(number = 1, id, NULL), iif(number = 1, sequence, NULL),
       iif(number IN (3, 4), 'build', NULL), iif(number IN (3, 4), 1, NULL), iif(number = 4, 'success', NULL),
       iif(number = 3, 1, NULL), iif(number = 5, 'r' || sequence, NULL),
       iif(number = 5, printf('%040x', sequence), NULL), iif(number IN (4, 6), 0.25, NULL)
FROM tb_webhook_events CROSS JOIN kinds ORDER BY sequence, number;

-- name: logs
INSERT INTO tb_deployment_logs (deployment_id, host, attempt, step_number, at, text)
SELECT deployment_id, host, attempt, step_number, at, 'built' || char(10) FROM tb_deployment_events
WHERE event = 'step_started';

-- name: forget_tokens
DELETE FROM sqlite_sequence WHERE name = 'tb_leases';

-- name: count_tokens
INSERT INTO sqlite_sequence SELECT 'tb_leases', max(token) FROM tb_deployment_events;
