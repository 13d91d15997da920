-- name: status
SELECT * FROM v_fraise_status
WHERE configured = 1 AND (:fraise_id IS NULL OR fraise_id = :fraise_id)
  AND (:environment IS NULL OR environment = :environment)
ORDER BY fraise_id, environment;

-- name: history
SELECT * FROM v_deployment_history LIMIT :limit;

-- name: history_of_fraise
SELECT * FROM v_deployment_history WHERE fraise_id = :fraise_id LIMIT :limit;

-- name: history_of_environment
SELECT * FROM v_deployment_history WHERE fraise_id = :fraise_id AND environment = :environment LIMIT :limit;

-- name: deployments_by_prefix
SELECT id FROM tb_deployments WHERE id >= :prefix AND id < :after LIMIT 2;

-- name: deployments_by_suffix
SELECT id FROM (SELECT id FROM tb_deployments ORDER BY sequence DESC LIMIT 10000) WHERE id LIKE :suffix LIMIT 2;

-- name: deployment
SELECT * FROM v_deployment_history WHERE id = :id;

-- name: steps
SELECT * FROM tb_steps WHERE deployment_id = :id ORDER BY attempt, number;

-- name: log
SELECT sequence, attempt, step_number, at, text, dropped FROM tb_deployment_logs
WHERE deployment_id = :id AND sequence > :after ORDER BY sequence;

-- name: running
SELECT id FROM tb_deployments
WHERE fraise_id = :fraise_id AND environment = :environment AND status = 'running'
  AND kind IN ('deploy', 'rollback');

