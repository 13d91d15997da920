-- Claims what can run now, by priority; of one deployment if `wanted` is given, and what a unit executes only so. Its environment is held first, those
-- that others hold are passed over, and it is read again once it is held, in a new snapshot. One call, because every
-- answer that a worker waits for delays the first step. Nothing is claimed if there is a migration that is newer than
-- the one that is known: `newest` says which. The deployment is returned as
-- it is then.
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
        SELECT w.id INTO claimed FROM tb_deployments AS w
        JOIN tb_environments AS e ON e.fraise_id = w.fraise_id AND e.environment = w.environment
        WHERE w.status = 'pending' AND (w.id = wanted OR (wanted IS NULL AND w.executor IS DISTINCT FROM 'unit'))
          AND NOT EXISTS (
              SELECT FROM tb_deployments AS busy
              WHERE busy.fraise_id = w.fraise_id AND busy.environment = w.environment AND busy.lane = w.lane
                AND busy.lane IS NOT NULL AND busy.status = 'running')
        ORDER BY w.priority DESC, w.sequence LIMIT 1 FOR NO KEY UPDATE OF e SKIP LOCKED;
        EXIT WHEN claimed IS NULL;
        SELECT w.attempt + 1 INTO attempt FROM tb_deployments AS w
        WHERE w.id = claimed AND w.status = 'pending'
          AND NOT EXISTS (
              SELECT FROM tb_deployments AS busy
              WHERE busy.fraise_id = w.fraise_id AND busy.environment = w.environment AND busy.lane = w.lane
                AND busy.lane IS NOT NULL AND busy.status = 'running');
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
