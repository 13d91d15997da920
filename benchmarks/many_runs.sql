WITH RECURSIVE
    numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < :runs),
    places (place, fraise_id, environment) AS (
        SELECT row_number() OVER (ORDER BY fraise_id), fraise_id, environment FROM tb_environments)
INSERT INTO tb_deployments (
    sequence, id, fraise_id, environment, kind, source, lane, supersedes, shown, priority, status, requested_at,
    started_at, completed_at, duration, commit_sha, ref, trigger, newest_delivery, release, executor, attempt,
    last_event, position)
SELECT
    n * 1000 + place, printf('00000000-0000-7000-8000-%012x', n * 1000 + place), fraise_id, environment,
    iif(n, 'run', 'deploy'), iif(n, 'serving', 'commit'), 'release', n = 0, n = 0, 0, 'success', at, at, at, 1.0,
    printf('%040d', place), iif(n, NULL, 'refs/heads/main'), iif(n, 'schedule', 'manual'), 0, 'release',
    iif(n, 'unit', NULL), 1, 9, n * 1000 + place
FROM places JOIN (
    SELECT n, strftime('%Y-%m-%dT02:59:00.000000Z', 'now', (n - :runs) || ' days') AS at FROM numbers)
ORDER BY n, place;
INSERT INTO tb_serving (fraise_id, environment, host, release, commit_sha, deployment_id, since)
SELECT fraise_id, environment, 'local', release, commit_sha, id, completed_at
FROM tb_deployments WHERE kind = 'deploy'
