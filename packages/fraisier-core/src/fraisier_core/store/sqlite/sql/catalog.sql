-- name: columns
SELECT name, '' AS collation FROM pragma_table_info(:name);

-- name: rules
SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = :name;

-- name: objects
SELECT name, sql AS definition FROM sqlite_schema;

-- name: summary
SELECT
    'SQLite ' || sqlite_version() AS version,
    (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size) AS bytes,
    (SELECT count(*) FROM tb_deployments) AS deployments,
    (SELECT count(*) FROM tb_deployment_events) AS deployment_events,
    (SELECT count(*) FROM tb_webhook_events) AS deliveries,
    (SELECT count(*) FROM tb_webhook_payloads) AS bodies,
    (SELECT count(*) FROM tb_refused_deliveries) AS refused,
    (SELECT count(*) FROM tb_deployment_logs) AS logs,
    (SELECT min(at) FROM (
        SELECT * FROM (SELECT received_at AS at FROM tb_webhook_events ORDER BY sequence LIMIT 1)
        UNION ALL
        SELECT * FROM (SELECT at FROM tb_deployment_events ORDER BY sequence LIMIT 1))) AS oldest;

-- name: is_closed
SELECT 1 AS found FROM sqlite_schema WHERE name = 'tb_closed';

-- name: create_closed
CREATE TABLE tb_closed (state TEXT NOT NULL, message TEXT NOT NULL, run TEXT NOT NULL) STRICT;

-- name: closing
SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'closed\_%' ESCAPE '\';

-- name: count_on_forget
DELETE FROM sqlite_sequence WHERE name = 'tb_leases';

-- name: count_on_tokens
INSERT INTO sqlite_sequence (name, seq) SELECT 'tb_leases', coalesce(max(token), 0) FROM tb_deployment_events;

-- name: fault_pages
SELECT 'the file is damaged: ' || integrity_check AS fault FROM pragma_integrity_check
WHERE integrity_check <> 'ok';

-- name: fault_references
SELECT 'row ' || coalesce("rowid", '') || ' of ' || "table" || ' refers to no row of ' || parent AS fault
FROM pragma_foreign_key_check;

-- name: use_fault_tokens
SELECT 'the next token of tb_leases is one that an event has; restore a backup' AS fault
WHERE coalesce((SELECT max(token) FROM tb_deployment_events), 0)
    > coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'tb_leases'), 0);
