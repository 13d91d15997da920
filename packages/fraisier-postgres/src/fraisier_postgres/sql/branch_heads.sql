-- name: branch_heads
SELECT fraise_id, environment, ref, head, seen_at, problem FROM tb_branch_heads
WHERE fraise_id = :fraise_id AND environment = :environment ORDER BY ref;

-- name: environments_with_heads
SELECT DISTINCT fraise_id, environment FROM tb_branch_heads;

-- name: forget_branch_heads
DELETE FROM tb_branch_heads WHERE fraise_id = :fraise_id AND environment = :environment;

-- name: record_branch_head
INSERT INTO tb_branch_heads (fraise_id, environment, ref, head, seen_at, problem)
VALUES (:fraise_id, :environment, :ref, :head, :seen_at, :problem)
ON CONFLICT (fraise_id, environment, hashtextextended(ref, 0)) DO UPDATE
SET head = excluded.head, seen_at = excluded.seen_at, problem = excluded.problem;

-- name: last_of_refs
-- Of each branch or tag the newest deployment that was not superseded or skipped or, if all were, the newest. A
-- repeated delivery counts only if its commit was found at its ref: a replay says nothing of the ref.
SELECT * FROM tb_deployments WHERE sequence = ANY (ARRAY(
    SELECT coalesce(max(sequence) FILTER (WHERE status <> 'superseded' AND status <> 'skipped'), max(sequence))
    FROM tb_deployments
    WHERE fraise_id = :fraise_id AND environment = :environment AND source = 'commit' AND ref IS NOT NULL
      AND (repeats IS NULL OR release IS NOT NULL)
    GROUP BY ref))
ORDER BY sequence DESC;

-- name: last_of_commits
-- In one pass over the history, however many commits are asked for.
SELECT * FROM tb_deployments WHERE sequence = ANY (ARRAY(
    SELECT max(sequence) FROM tb_deployments
    WHERE fraise_id = :fraise_id AND environment = :environment AND source = 'commit'
      AND commit_sha = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:commits AS jsonb))))
      AND (repeats IS NULL OR release IS NOT NULL)
    GROUP BY commit_sha))
ORDER BY sequence DESC;
