-- name: fraise
INSERT INTO tb_fraises (id, type, configured) VALUES ('my_api', 'api', 1);

-- name: environments
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 19)
INSERT INTO tb_environments (fraise_id, environment, branch, configured)
SELECT 'my_api', 'environment-' || n, 'main', 1 FROM numbers;

-- name: events
WITH RECURSIVE
    numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :deployments),
    events (number, event, step, step_number) AS (
        VALUES (1, 'requested', NULL, NULL), (2, 'claimed', NULL, NULL), (3, 'step_started', 'fetch', 1),
               (4, 'step_finished', 'fetch', 1), (5, 'release_chosen', NULL, NULL),
               (6, 'activation_started', NULL, NULL), (7, 'step_started', 'verify', 2),
               (8, 'step_finished', 'verify', 2), (9, 'serving', NULL, NULL), (10, 'success', NULL, NULL))
INSERT INTO tb_deployment_events (
    sequence, deployment_id, number, event, at, token, host, attempt, fraise_id, environment, kind, trigger, ref,
    commit_sha, newest_delivery, release, step, step_number, step_status, duration)
SELECT
    n * 10 + number, printf('00000000-0000-7000-8000-%012x', n), number, event, '2026-01-01T00:00:00.000000Z',
    iif(number > 1, n, NULL), iif(number > 1, 'local', NULL), iif(number > 1, 1, NULL),
    iif(number = 1, 'my_api', NULL), iif(number = 1, 'environment-' || (n % 20), NULL), iif(number = 1, 'deploy', NULL),
    iif(number = 1, 'webhook', NULL), iif(number = 1, 'refs/heads/main', NULL), printf('%040x', n),
    iif(number = 1, n, NULL), iif(number IN (5, 9), printf('release-%d', n), NULL), step, step_number,
    iif(event = 'step_finished', 'success', NULL), iif(number = 10, 1.0, NULL)
FROM numbers CROSS JOIN events;

-- name: settle
ANALYZE;
