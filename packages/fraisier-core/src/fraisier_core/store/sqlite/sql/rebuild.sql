-- name: empty_steps
DELETE FROM tb_steps;

-- name: empty_attempts
DELETE FROM tb_attempts;

-- name: empty_serving
DELETE FROM tb_serving;

-- name: empty_deployments
DELETE FROM tb_deployments;

-- name: newest
SELECT coalesce(max(sequence), 0) AS sequence FROM tb_deployment_events;

-- name: fold
INSERT INTO fold_events
SELECT * FROM tb_deployment_events WHERE sequence > :after AND sequence <= :until ORDER BY sequence;
