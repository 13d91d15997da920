-- name: insert_hold
INSERT INTO tb_holds (id, cause, fraise_id, environment, reason, held_by, begins_at, ends_at)
VALUES (:id, 'manual', :fraise_id, :environment, :reason, :held_by, strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'), :ends_at);

-- name: resume
-- What users hold of an environment or, without one, of the fraise and all its environments.
UPDATE tb_holds SET resumed_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'), resumed_by = :resumed_by
WHERE cause = 'manual' AND fraise_id = :fraise_id AND (:environment IS NULL OR environment = :environment)
  AND id IN (SELECT h.id FROM holds_in_force AS h)
RETURNING id;

-- name: freezes
SELECT id, fraise_id, environment, schedule, reason, begins_at, ends_at, ends_at <= strftime('%Y-%m-%dT%H:%M:%f000Z', 'now') AS is_over
FROM tb_holds WHERE cause = 'freeze';

-- name: insert_freeze
INSERT INTO tb_holds (id, cause, fraise_id, environment, schedule, reason, begins_at, ends_at)
VALUES (:id, 'freeze', :fraise_id, :environment, :schedule, :reason, :begins_at, :ends_at)
ON CONFLICT DO NOTHING;

-- name: delete_freeze
DELETE FROM tb_holds WHERE id = :id AND cause = 'freeze';
