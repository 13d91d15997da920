-- name: columns
SELECT attname AS name, CASE WHEN attcollation = 0 THEN '' ELSE ' COLLATE "C"' END AS collation
FROM pg_attribute WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped ORDER BY attnum;

-- name: objects
-- What does its work: valid indexes, triggers that are not disabled, tables and views.
SELECT c.relname AS name FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
  AND coalesce(i.indisvalid AND i.indisready, true)
UNION ALL
SELECT t.tgname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
  AND NOT t.tgisinternal AND t.tgenabled <> 'D';

-- name: summary
SELECT
    'PostgreSQL ' || current_setting('server_version') AS version,
    (SELECT CAST(sum(pg_total_relation_size(c.oid)) AS bigint) FROM pg_class AS c
     WHERE c.relkind = 'r'
       AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())) AS bytes,
    (SELECT count(*) FROM tb_deployments) AS deployments,
    (SELECT count(*) FROM tb_deployment_events) AS deployment_events,
    (SELECT count(*) FROM tb_webhook_events) AS deliveries,
    (SELECT count(p.sequence) FROM tb_webhook_payloads AS p) AS bodies,
    (SELECT count(*) FROM tb_refused_deliveries) AS refused,
    (SELECT count(*) FROM tb_deployment_logs) AS logs,
    least(
        (SELECT w.received_at FROM tb_webhook_events AS w ORDER BY w.sequence LIMIT 1),
        (SELECT e.at FROM tb_deployment_events AS e ORDER BY e.sequence LIMIT 1)) AS oldest;

-- name: is_closed
SELECT 1 AS found WHERE to_regclass('tb_closed') IS NOT NULL;

-- name: count_on_deliveries
SELECT setval(pg_get_serial_sequence('tb_webhook_events', 'sequence'), coalesce(max(sequence), 1),
              max(sequence) IS NOT NULL) FROM tb_webhook_events;

-- name: count_on_refs
SELECT setval(pg_get_serial_sequence('tb_webhook_refs', 'sequence'), coalesce(max(sequence), 1),
              max(sequence) IS NOT NULL) FROM tb_webhook_refs;

-- name: count_on_refused
SELECT setval(pg_get_serial_sequence('tb_refused_deliveries', 'sequence'), coalesce(max(sequence), 1),
              max(sequence) IS NOT NULL) FROM tb_refused_deliveries;

-- name: count_on_logs
SELECT setval(pg_get_serial_sequence('tb_deployment_logs', 'sequence'), coalesce(max(sequence), 1),
              max(sequence) IS NOT NULL) FROM tb_deployment_logs;

-- name: count_on_events
SELECT setval('deployment_event_sequence', coalesce(max(sequence), 1), max(sequence) IS NOT NULL)
FROM tb_deployment_events;
