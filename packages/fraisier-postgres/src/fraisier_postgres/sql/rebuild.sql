-- name: lock_events
-- Nothing is appended until the transaction ends; first of all, or what is under way would miss the fold.
LOCK TABLE tb_deployment_events IN SHARE ROW EXCLUSIVE MODE;

-- name: empty_deployments
DELETE FROM tb_deployments;

-- name: empty_attempts
DELETE FROM tb_attempts;

-- name: empty_steps
DELETE FROM tb_steps;

-- name: empty_serving
DELETE FROM tb_serving;

-- name: newest
SELECT coalesce(max(sequence), 0) AS sequence FROM tb_deployment_events;

-- name: fold
SELECT fold_again(:after, :until);
