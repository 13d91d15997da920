-- name: same_delivery
SELECT id, body_sha256 FROM tb_webhook_events
WHERE provider = :provider AND delivery_key = :delivery_key;

-- name: same_body
SELECT id FROM tb_webhook_events WHERE provider = :provider AND body_key = :body_key;

-- name: deployments_of_event
SELECT id, fraise_id, environment, status, NULL AS hold FROM tb_deployments
WHERE webhook_event_id = :webhook_event_id ORDER BY sequence;

-- name: insert_event
INSERT INTO tb_webhook_events (
    id, provider, event_type, delivery_id, delivery_key, body_sha256, body_key, repository, urls, ref, branch,
    commit_sha, before_sha, pusher, received_at, verdict, duplicate_of, reasons)
VALUES (
    :id, :provider, :event_type, :delivery_id, :delivery_key, :body_sha256, :body_key, :repository, :urls, :ref,
    :branch, :commit_sha, :before_sha, :pusher, :received_at, :verdict, :duplicate_of, :reasons);

-- name: insert_ref
INSERT INTO tb_webhook_refs (webhook_event_id, number, ref, commit_sha, before_sha, reasons)
VALUES (:webhook_event_id, :number, :ref, :commit_sha, :before_sha, :reasons);

-- name: insert_payload
INSERT INTO tb_webhook_payloads (sequence, webhook_event_id, body)
SELECT sequence, id, CAST(:body AS bytea) FROM tb_webhook_events WHERE id = :id;

-- name: insert_refused
INSERT INTO tb_refused_deliveries (id, provider, received_at, client, reason)
VALUES (:id, :provider, :received_at, :client, :reason);

-- name: accept
-- A batch of deliveries of one ref each: `events` and `requests` are rows as above, in JSON. Returns why some of their
-- environments are held, if they are. First it holds the
-- environments, in the order in which all who hold several take them.
WITH requested AS MATERIALIZED (
    SELECT * FROM ROWS FROM (json_to_recordset(CAST(:requests AS json)) AS (
        deployment_id uuid, at timestamptz, fraise_id text, environment text, kind text, trigger text,
        requested_by text, ref text, commit_sha text, before_sha text, pathspecs text, reason text, recovers uuid,
        repeats uuid, webhook_event_id uuid, release text)) WITH ORDINALITY),
held AS MATERIALIZED (
    SELECT 1 FROM tb_environments AS e
    WHERE (e.fraise_id, e.environment) IN (SELECT r.fraise_id, r.environment FROM requested AS r)
      AND (SELECT set_config('lock_timeout', :lock_timeout, true)) IS NOT NULL
    ORDER BY e.fraise_id, e.environment FOR NO KEY UPDATE),
delivered AS MATERIALIZED (
    SELECT * FROM ROWS FROM (json_to_recordset(CAST(:events AS json)) AS (
        id uuid, provider text, event_type text, delivery_id text, delivery_key text, body_sha256 text,
        body_key text, repository text, urls text, ref text, branch text, commit_sha text, before_sha text,
        pusher text, received_at timestamptz, verdict text, duplicate_of uuid, reasons text)) WITH ORDINALITY
    WHERE (SELECT count(*) FROM held) >= 0),
stored AS (
    INSERT INTO tb_webhook_events (
        id, provider, event_type, delivery_id, delivery_key, body_sha256, body_key, repository, urls, ref, branch,
        commit_sha, before_sha, pusher, received_at, verdict, duplicate_of, reasons)
    SELECT
        id, provider, event_type, delivery_id, delivery_key, body_sha256, body_key, repository, CAST(urls AS jsonb),
        ref, branch, commit_sha, before_sha, pusher, received_at, verdict, duplicate_of, CAST(reasons AS jsonb)
    FROM delivered ORDER BY ordinality
    RETURNING sequence, id),
payloads AS (
    INSERT INTO tb_webhook_payloads (sequence, webhook_event_id, body)
    SELECT s.sequence, s.id, p.body FROM stored AS s JOIN delivered AS d USING (id)
    JOIN unnest(CAST(:bodies AS bytea[])) WITH ORDINALITY AS p (body, ordinality) USING (ordinality)),
pending AS (
    INSERT INTO tb_deployment_events (
        deployment_id, event, at, fraise_id, environment, kind, trigger, requested_by, ref, commit_sha,
        before_sha, pathspecs, reason, recovers, repeats, webhook_event_id, newest_delivery, release)
    SELECT
        r.deployment_id, 'requested', r.at, r.fraise_id, r.environment, r.kind, r.trigger, r.requested_by, r.ref,
        r.commit_sha, r.before_sha, CAST(r.pathspecs AS jsonb), r.reason, r.recovers, r.repeats, r.webhook_event_id,
        s.sequence, r.release
    FROM requested AS r JOIN stored AS s ON s.id = r.webhook_event_id
    ORDER BY r.ordinality
    RETURNING fraise_id, environment)
SELECT DISTINCT h.fraise_id, h.environment, h.cause, h.reason, h.held_by, h.begins_at, h.ends_at
FROM pending AS p JOIN environment_holds AS h USING (fraise_id, environment);

-- name: free_environments
-- Of the environments, those that nothing else holds; the lists belong together.
SELECT e.fraise_id, e.environment FROM tb_environments AS e
JOIN unnest(CAST(:fraise_ids AS text[]), CAST(:environments AS text[])) AS wanted (fraise_id, environment)
    USING (fraise_id, environment)
FOR NO KEY UPDATE OF e SKIP LOCKED;

-- name: is_stored
SELECT 1 FROM tb_webhook_events WHERE id = :id;
