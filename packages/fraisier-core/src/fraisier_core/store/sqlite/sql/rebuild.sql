-- name: empty_steps
DELETE FROM tb_steps;

-- name: empty_attempts
DELETE FROM tb_attempts;

-- name: empty_serving
DELETE FROM tb_serving;

-- name: empty_deployments
DELETE FROM tb_deployments;

-- name: fold
INSERT INTO fold_events SELECT * FROM tb_deployment_events ORDER BY sequence;
