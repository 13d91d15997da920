-- name: lock_environments
SELECT 1 FROM tb_environments
WHERE fraise_id = :fraise_id AND (CAST(:environment AS text) IS NULL OR environment = CAST(:environment AS text))
ORDER BY fraise_id, environment FOR NO KEY UPDATE;

-- name: insert_hold
INSERT INTO tb_holds (id, cause, fraise_id, environment, reason, held_by, begins_at, ends_at)
VALUES (:id, 'manual', :fraise_id, :environment, :reason, :held_by, clock_timestamp(), :ends_at);

-- name: resume
-- What users hold of an environment or, without one, of the fraise and all its environments.
UPDATE tb_holds SET resumed_at = clock_timestamp(), resumed_by = :resumed_by
WHERE cause = 'manual' AND fraise_id = :fraise_id AND (CAST(:environment AS text) IS NULL OR environment = CAST(:environment AS text))
  AND id IN (SELECT h.id FROM holds_in_force AS h)
RETURNING id;

-- name: freezes
SELECT id, fraise_id, environment, schedule, reason, begins_at, ends_at, ends_at <= clock_timestamp() AS is_over
FROM tb_holds WHERE cause = 'freeze';

-- name: insert_freeze
INSERT INTO tb_holds (id, cause, fraise_id, environment, schedule, reason, begins_at, ends_at)
VALUES (:id, 'freeze', :fraise_id, :environment, :schedule, :reason, :begins_at, :ends_at)
ON CONFLICT DO NOTHING;

-- name: delete_freeze
DELETE FROM tb_holds WHERE id = :id AND cause = 'freeze';
