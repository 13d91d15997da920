-- name: fraise
INSERT INTO tb_fraises (id, type, configured) VALUES ('my_api', 'api', true);

-- name: environments
INSERT INTO tb_environments (fraise_id, environment, branch, configured)
SELECT 'my_api', 'environment-' || n, 'main', true FROM generate_series(0, 19) AS n;

-- name: events
INSERT INTO tb_deployment_events (
    sequence, deployment_id, number, event, at, token, host, attempt, fraise_id, environment, kind, trigger, ref,
    commit_sha, newest_delivery, release, step, step_number, step_status, duration)
SELECT
    n * 10 + number, CAST('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS uuid), number, event,
    '2026-01-01T00:00:00.000000Z',
    CASE WHEN number > 1 THEN n END, CASE WHEN number > 1 THEN 'local' END, CASE WHEN number > 1 THEN 1 END,
    CASE WHEN number = 1 THEN 'my_api' END, CASE WHEN number = 1 THEN 'environment-' || (n % 20) END,
    CASE WHEN number = 1 THEN 'deploy' END, CASE WHEN number = 1 THEN 'webhook' END,
    CASE WHEN number = 1 THEN 'refs/heads/main' END, lpad(to_hex(n), 40, '0'), CASE WHEN number = 1 THEN n END,
    CASE WHEN number IN (5, 9) THEN 'release-' || n END, step, step_number,
    CASE event WHEN 'step_finished' THEN 'success' END, CASE WHEN number = 10 THEN 1.0 END
FROM generate_series(1, CAST(:deployments AS integer)) AS n CROSS JOIN (
    VALUES (1, 'requested', NULL, CAST(NULL AS integer)), (2, 'claimed', NULL, NULL), (3, 'step_started', 'fetch', 1),
           (4, 'step_finished', 'fetch', 1), (5, 'release_chosen', NULL, NULL),
           (6, 'activation_started', NULL, NULL), (7, 'step_started', 'verify', 2),
           (8, 'step_finished', 'verify', 2), (9, 'serving', NULL, NULL), (10, 'success', NULL, NULL)
) AS events (number, event, step, step_number);

-- name: settle
VACUUM ANALYZE;
