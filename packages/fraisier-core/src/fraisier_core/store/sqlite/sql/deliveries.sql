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
SELECT sequence, id, :body FROM tb_webhook_events WHERE id = :id;

-- name: insert_refused
INSERT INTO tb_refused_deliveries (id, provider, received_at, client, reason)
VALUES (:id, :provider, :received_at, :client, :reason);
