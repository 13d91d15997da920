-- What may be claimed: nothing runs in its lane and, where it supersedes nothing, nothing else there is its turn
-- before. What a unit executes does not wait for what is no more urgent and waits for a worker, which may be down; and
-- nothing waits for what is held.
CREATE VIEW claimable_deployments AS
SELECT * FROM tb_deployments AS waiting
WHERE status = 'pending'
  AND NOT (obeys_holds AND EXISTS (
      SELECT FROM holds_in_force AS h
      WHERE h.fraise_id = waiting.fraise_id AND (h.environment IS NULL OR h.environment = waiting.environment)))
  AND (lane IS NULL
       OR (NOT EXISTS (
               SELECT FROM tb_deployments AS busy
               WHERE busy.fraise_id = waiting.fraise_id AND busy.environment = waiting.environment
                 AND busy.lane = waiting.lane AND busy.lane IS NOT NULL AND busy.status = 'running')
           AND (supersedes
                OR NOT EXISTS (
                    SELECT FROM tb_deployments AS ahead
                    WHERE ahead.fraise_id = waiting.fraise_id AND ahead.environment = waiting.environment
                      AND ahead.status = 'pending' AND ahead.lane = waiting.lane
                      AND NOT (ahead.obeys_holds AND EXISTS (
                          SELECT FROM holds_in_force AS h
                          WHERE h.fraise_id = ahead.fraise_id
                            AND (h.environment IS NULL OR h.environment = ahead.environment)))
                      AND (ahead.priority > waiting.priority
                           OR (ahead.priority = waiting.priority AND ahead.sequence < waiting.sequence
                               AND (ahead.executor = 'unit' OR waiting.executor IS DISTINCT FROM 'unit')))))));

-- Claims the next by priority or, if `wanted` is given, that one; what a unit executes is claimed by its id alone. Its
-- environment is held first, those that others hold are passed over, and it is read again once it is held, in a new
-- snapshot. One call, because every answer that a worker waits for delays the first step. Nothing is claimed if there
-- is a migration that is newer than the one that is known: `newest` says which. The deployment is returned as it is
-- then.
CREATE FUNCTION claim(
    wanted uuid, known text, durable boolean, at timestamptz, host text, boot_id text, pid integer,
    pid_started bigint, seconds double precision,
    OUT newest text, OUT token bigint, OUT deployment tb_deployments)
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    claimed uuid;
    attempt integer;
BEGIN
    newest := (SELECT max(m.name) FROM tb_migrations AS m);
    IF newest <> known THEN
        RETURN;
    END IF;
    LOOP
        SELECT w.id INTO claimed FROM claimable_deployments AS w
        JOIN tb_environments AS e ON e.fraise_id = w.fraise_id AND e.environment = w.environment
        WHERE w.id = wanted OR (wanted IS NULL AND w.executor IS DISTINCT FROM 'unit')
        ORDER BY w.priority DESC, w.sequence LIMIT 1 FOR NO KEY UPDATE OF e SKIP LOCKED;
        EXIT WHEN claimed IS NULL;
        SELECT w.attempt + 1 INTO attempt FROM claimable_deployments AS w WHERE w.id = claimed;
        EXIT WHEN attempt IS NOT NULL;  -- or it was taken before it was held: another may wait
    END LOOP;
    IF attempt IS NULL THEN
        RETURN;
    END IF;
    IF NOT durable THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    INSERT INTO tb_leases AS l (deployment_id, host, attempt, boot_id, pid, pid_started, expires)
    VALUES (
        claimed, host, attempt, boot_id, pid, pid_started, clock_timestamp() + make_interval(secs => seconds))
    RETURNING l.token INTO token;
    INSERT INTO tb_deployment_events (deployment_id, event, at, token, host, attempt)
    VALUES (claimed, 'claimed', at, token, host, attempt);
    SELECT d.* INTO deployment FROM tb_deployments AS d WHERE d.id = claimed;
END $$;
