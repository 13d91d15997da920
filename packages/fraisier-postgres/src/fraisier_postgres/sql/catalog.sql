-- name: columns
SELECT attname AS name, CASE WHEN attcollation = 0 THEN '' ELSE ' COLLATE "C"' END AS collation
FROM pg_attribute WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped ORDER BY attnum;

-- name: objects
-- What does its work: valid indexes and constraints, triggers that are not disabled, tables, views, sequences and
-- functions, of which what they do is told too.
SELECT c.relname AS name, NULL AS definition FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
  AND coalesce(i.indisvalid AND i.indisready, true)
UNION ALL
SELECT t.tgname, NULL FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
  AND NOT t.tgisinternal AND t.tgenabled <> 'D'
UNION ALL
SELECT c.conname, NULL FROM pg_constraint AS c
WHERE c.connamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND c.convalidated
UNION ALL
SELECT p.proname || '()', p.prosrc FROM pg_proc AS p
WHERE p.pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema());

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

-- name: create_closed
CREATE TABLE tb_closed (state text NOT NULL, message text NOT NULL, run text NOT NULL);
GRANT SELECT ON tb_closed TO PUBLIC;

-- name: closing
SELECT c.relname AS place, t.tgname AS name FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
  AND (t.tgname = 'closed' OR t.tgname = 'closed_claims') AND t.tgenabled <> 'D';

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

-- name: count_on_audit
SELECT setval(pg_get_serial_sequence('tb_audit_events', 'sequence'), coalesce(max(sequence), 1),
              max(sequence) IS NOT NULL) FROM tb_audit_events;

-- name: count_on_events
SELECT setval('deployment_event_sequence', coalesce(max(sequence), 1), max(sequence) IS NOT NULL)
FROM tb_deployment_events;

-- name: use_fault_sequences
SELECT 'the next sequence of ' || s.owner || ' is taken already; restore a backup' AS fault
FROM (VALUES
    ('tb_webhook_events', pg_get_serial_sequence('tb_webhook_events', 'sequence'),
     (SELECT max(w.sequence) FROM tb_webhook_events AS w)),
    ('tb_webhook_refs', pg_get_serial_sequence('tb_webhook_refs', 'sequence'),
     (SELECT max(r.sequence) FROM tb_webhook_refs AS r)),
    ('tb_refused_deliveries', pg_get_serial_sequence('tb_refused_deliveries', 'sequence'),
     (SELECT max(d.sequence) FROM tb_refused_deliveries AS d)),
    ('tb_deployment_logs', pg_get_serial_sequence('tb_deployment_logs', 'sequence'),
     (SELECT max(l.sequence) FROM tb_deployment_logs AS l)),
    ('tb_audit_events', pg_get_serial_sequence('tb_audit_events', 'sequence'),
     (SELECT max(a.sequence) FROM tb_audit_events AS a)),
    ('tb_deployment_events', 'deployment_event_sequence',
     (SELECT max(e.sequence) FROM tb_deployment_events AS e))) AS s (owner, counter, taken)
WHERE s.taken > coalesce(pg_sequence_last_value(to_regclass(s.counter)), 0);
