INSERT INTO tb_fraises (id, type, configured) VALUES ('my_api', 'api', 1);
INSERT INTO tb_environments (fraise_id, environment, branch, configured) VALUES ('my_api', 'production', 'main', 1);
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :deployments)
INSERT INTO tb_deployments (
    id, fraise_id, environment, kind, source, lane, supersedes, shown, priority, status, requested_at, started_at, completed_at, duration, commit_sha,
    ref, trigger, newest_delivery, release, attempt, last_event, position)
SELECT printf('%036d', n), 'my_api', 'production', 'deploy', 'commit', 'release', 1, 1, 0,
       CASE n % 3 WHEN 0 THEN 'success' WHEN 1 THEN 'superseded' ELSE 'failed' END,
       '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:01.000000Z', 1.0,
       printf('%040d', n), 'refs/heads/main', 'webhook', n, printf('release-%d', n), 1, 9, n
FROM numbers
