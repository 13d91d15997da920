-- What every database understands alike.

-- name: tokens
SELECT id, name, prefix, sha256, level, fraise_id, environment, created_at, created_by, expires_at, revoked_at
FROM tb_tokens ORDER BY id;

-- name: token_by_prefix
SELECT id, name, prefix, sha256, level, fraise_id, environment, created_at, created_by, expires_at, revoked_at
FROM tb_tokens WHERE prefix = :prefix;

-- name: insert_token
INSERT INTO tb_tokens (
    id, name, prefix, sha256, level, fraise_id, environment, created_at, created_by, expires_at, revoked_at)
VALUES (
    :id, :name, :prefix, :sha256, :level, :fraise_id, :environment, :created_at, :created_by, :expires_at,
    :revoked_at);

-- name: revoke_token
UPDATE tb_tokens SET revoked_at = :revoked_at WHERE id = :id AND revoked_at IS NULL;

-- name: audit
INSERT INTO tb_audit_events (at, actor, action, subject, detail, occurrences)
VALUES (:at, :actor, :action, :subject, :detail, :occurrences);

-- name: audit_events
SELECT at, actor, action, subject, detail, occurrences FROM v_audit_events ORDER BY at DESC LIMIT :limit;
