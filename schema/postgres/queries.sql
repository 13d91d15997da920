-- What queries with arguments read, as a limit within a view would come before the filter, and one on `data` would read
-- every row. An argument that is not given is NULL. The bodies are such that PostgreSQL plans them as part of the
-- statement that calls them.

-- How many rows there are without a limit. fraiseql-server applies no default; it adds a limit to its statement.
CREATE OR REPLACE FUNCTION unasked_limit() RETURNS integer LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF current_query() LIKE '% LIMIT $%' THEN
        RETURN NULL;
    ELSIF current_query() LIKE '% OFFSET $%' THEN
        RAISE EXCEPTION USING MESSAGE = '`offset` needs a `limit`', ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN 50;
END $$;

CREATE OR REPLACE FUNCTION fn_fraise(id text) RETURNS TABLE (data jsonb) LANGUAGE sql STABLE AS $$
    SELECT f.data FROM v_fraises AS f WHERE f.id = $1
$$;

CREATE OR REPLACE FUNCTION fn_fraise_status(fraise_id text, environment text)
RETURNS TABLE (data jsonb) LANGUAGE sql STABLE AS $$
    SELECT s.data FROM v_fraise_status AS s
    WHERE ($1 IS NULL OR s.fraise_id = $1) AND ($2 IS NULL OR s.environment = $2)
    ORDER BY s.fraise_id, s.environment
$$;

CREATE OR REPLACE FUNCTION fn_deployment(id text) RETURNS TABLE (data jsonb) LANGUAGE sql STABLE AS $$
    SELECT d.data FROM v_deployment_history AS d WHERE d.id = CAST($1 AS uuid)
$$;

CREATE OR REPLACE FUNCTION fn_deployment_history(
    fraise_id text, environment text, status text, kind text, ref text, commit_sha text, id_part text, cursor text
) RETURNS TABLE (data jsonb) LANGUAGE sql STABLE AS $$
    SELECT h.data FROM v_deployment_history AS h
    WHERE ($1 IS NULL OR h.fraise_id = $1) AND ($2 IS NULL OR h.environment = $2)
      AND ($3 IS NULL OR h.status = $3) AND ($4 IS NULL OR h.kind = $4)
      AND ($5 IS NULL OR h.ref = $5) AND ($6 IS NULL OR h.commit_sha = $6)
      AND ($7 IS NULL OR $7 <> '' AND strpos(CAST(h.id AS text), lower($7)) > 0)
      AND ($8 IS NULL OR h.sequence < (SELECT c.sequence FROM v_deployment_history AS c WHERE c.id = CAST($8 AS uuid)))
    ORDER BY h.sequence DESC LIMIT unasked_limit()
$$;

CREATE OR REPLACE FUNCTION fn_deployment_stats(fraise_id text, environment text)
RETURNS TABLE (data jsonb) LANGUAGE sql STABLE AS $$
    SELECT s.data FROM v_deployment_stats AS s
    WHERE ($1 IS NULL OR s.fraise_id = $1) AND ($2 IS NULL OR s.environment = $2)
    ORDER BY s.fraise_id, s.environment
$$;

CREATE OR REPLACE FUNCTION fn_webhook_events(provider text, verdict text, cursor text)
RETURNS TABLE (data jsonb) LANGUAGE sql STABLE AS $$
    SELECT w.data FROM v_webhook_events AS w
    WHERE ($1 IS NULL OR w.provider = $1) AND ($2 IS NULL OR w.verdict = $2)
      AND ($3 IS NULL OR w.sequence < (SELECT c.sequence FROM v_webhook_events AS c WHERE c.id = CAST($3 AS uuid)))
    ORDER BY w.sequence DESC LIMIT unasked_limit()
$$;
