-- What is requested. The functions run as the owner, who may read what they look up, and write the event that a worker
-- acts on; the rules of the store check it. fraiseql-server knows no clients, so its own user is who requests. What
-- cannot be is refused with 22023, which clients see as BAD_USER_INPUT.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE OR REPLACE FUNCTION refuse_request(message text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING MESSAGE = message, ERRCODE = 'invalid_parameter_value';
END $$;

-- What fraiseql-server reads a mutation's answer from.
DO $$
BEGIN
    CREATE TYPE mutation_answer AS (
        succeeded boolean, state_changed boolean, error_class text, status_detail text, http_status smallint,
        message text, entity_id uuid, entity_type text, entity jsonb, updated_fields text[], cascade jsonb,
        error_detail jsonb, metadata jsonb);
EXCEPTION WHEN duplicate_object THEN
    NULL;
END $$;

CREATE OR REPLACE FUNCTION answer(deployment uuid, changed boolean) RETURNS mutation_answer LANGUAGE sql AS $$
    SELECT r.* FROM v_deployment_history AS d, fraiseql.mutation_ok(d.data, d.id, 'Deployment', changed) AS r
    WHERE d.id = deployment
$$;

-- The configured environment of that name; a beginning of it does not do, as it could come to mean another.
CREATE OR REPLACE FUNCTION requested_environment(asked_fraise text, asked text) RETURNS tb_environments
LANGUAGE plpgsql AS $$
DECLARE
    place tb_environments;
BEGIN
    SELECT * INTO place FROM tb_environments AS e
    WHERE e.fraise_id = asked_fraise AND e.environment = asked AND e.configured;
    IF place.environment IS NULL THEN
        PERFORM refuse_request('no environment "' || asked || '" of a fraise "' || asked_fraise || '" is configured');
    END IF;
    RETURN place;
END $$;

-- Why an environment is held; it is held itself meanwhile, so that this stays as it is.
CREATE OR REPLACE FUNCTION hold_of(place tb_environments) RETURNS environment_holds LANGUAGE plpgsql AS $$
DECLARE
    found environment_holds;
BEGIN
    PERFORM FROM tb_environments AS e
    WHERE e.fraise_id = place.fraise_id AND e.environment = place.environment FOR NO KEY UPDATE;
    SELECT * INTO found FROM environment_holds AS h
    WHERE h.fraise_id = place.fraise_id AND h.environment = place.environment;
    RETURN found;
END $$;

CREATE OR REPLACE FUNCTION answer_hold(hold uuid) RETURNS mutation_answer LANGUAGE sql AS $$
    SELECT r.* FROM v_deployment_holds AS h, fraiseql.mutation_ok(h.data, h.id, 'Hold', true) AS r
    WHERE h.id = hold
$$;

-- The environments of that name, or all of the fraise.
CREATE OR REPLACE FUNCTION require_configured(asked_fraise text, asked text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF asked IS NOT NULL THEN
        PERFORM requested_environment(asked_fraise, asked);
    ELSIF NOT EXISTS (SELECT FROM tb_fraises AS f WHERE f.id = asked_fraise AND f.configured) THEN
        PERFORM refuse_request('no fraise "' || asked_fraise || '" is configured');
    END IF;
END $$;

CREATE OR REPLACE FUNCTION fn_deploy(
    fraise_id text, environment text, commit text, branch text, override_hold boolean
) RETURNS mutation_answer LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    deployment uuid := uuidv7();
    place tb_environments := requested_environment(fraise_id, environment);
    chosen text := coalesce(branch, CASE WHEN commit IS NULL THEN place.branch END);
    hold environment_holds := hold_of(place);
BEGIN
    IF NOT place.kinds ? 'deploy' THEN
        PERFORM refuse_request(
            place.fraise_id || ' ' || place.environment || ' is not deployed: its type is for other things alone');
    ELSIF commit !~* '^[0-9a-f]{4,64}$' THEN
        PERFORM refuse_request('a commit is 4 to 64 hexadecimal digits');
    ELSIF commit IS NULL AND chosen IS NULL THEN
        PERFORM refuse_request(
            'no `branch:` says what to deploy to ' || place.environment || '; name a branch or a commit');
    END IF;
    IF hold.reason IS NOT NULL AND override_hold IS NOT TRUE THEN
        PERFORM refuse_request(
            place.fraise_id || ' ' || place.environment || ' is '
            || CASE hold.cause WHEN 'freeze' THEN 'frozen' ELSE 'held by ' || hold.held_by END
            || coalesce(' until ' || to_char(hold.ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC', '')
            || ': ' || hold.reason || '; nothing is deployed without overrideHold');
    END IF;
    INSERT INTO tb_deployment_events (
        deployment_id, event, at, fraise_id, environment, kind, trigger, requested_by, commit_sha, ref,
        overridden_hold)
    VALUES (
        deployment, 'requested', clock_timestamp(), place.fraise_id, place.environment, 'deploy', 'manual',
        session_user, lower(commit), 'refs/heads/' || chosen, hold.reason);
    RETURN answer(deployment, true);
END $$;

CREATE OR REPLACE FUNCTION fn_hold(fraise_id text, reason text, environment text, until text)
RETURNS mutation_answer LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    hold uuid := uuidv7();
    ends timestamptz;
BEGIN
    PERFORM require_configured(fn_hold.fraise_id, fn_hold.environment);
    BEGIN
        IF until !~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)$' THEN
            RAISE invalid_datetime_format;
        END IF;
        ends := CAST(until AS timestamptz);
        IF ends >= '10000-01-01 00:00:00+00' THEN
            RAISE datetime_field_overflow;
        END IF;
    EXCEPTION WHEN data_exception THEN
        PERFORM refuse_request('"' || until || '" is no time with a time zone, such as 2026-01-31T12:00:00Z');
    END;
    IF ends <= clock_timestamp() THEN
        PERFORM refuse_request(until || ' is in the past');
    ELSIF length(trim(reason)) NOT BETWEEN 1 AND 500 OR reason ~ '[[:cntrl:]]' THEN
        PERFORM refuse_request('the reason should be one line of 1 to 500 characters');
    END IF;
    PERFORM FROM tb_environments AS e
    WHERE e.fraise_id = fn_hold.fraise_id AND (fn_hold.environment IS NULL OR e.environment = fn_hold.environment)
    ORDER BY e.fraise_id, e.environment FOR NO KEY UPDATE;
    INSERT INTO tb_holds (id, cause, fraise_id, environment, reason, held_by, begins_at, ends_at)
    VALUES (
        hold, 'manual', fn_hold.fraise_id, fn_hold.environment, trim(fn_hold.reason), session_user, clock_timestamp(),
        ends);
    RETURN answer_hold(hold);
END $$;

CREATE OR REPLACE FUNCTION fn_resume(fraise_id text, environment text)
RETURNS mutation_answer LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    resumed uuid[];
BEGIN
    PERFORM require_configured(fn_resume.fraise_id, fn_resume.environment);
    WITH ended AS (
        UPDATE tb_holds AS h SET resumed_at = clock_timestamp(), resumed_by = session_user
        WHERE h.cause = 'manual' AND h.fraise_id = fn_resume.fraise_id
          AND (fn_resume.environment IS NULL OR h.environment = fn_resume.environment)
          AND h.id IN (SELECT f.id FROM holds_in_force AS f)
        RETURNING h.id)
    SELECT array_agg(e.id ORDER BY e.id DESC) INTO resumed FROM ended AS e;
    IF resumed IS NULL THEN
        PERFORM refuse_request(concat_ws(' ', fn_resume.fraise_id, fn_resume.environment) || ' is held by no user');
    END IF;
    PERFORM wake();
    RETURN answer_hold(resumed[1]);
END $$;

-- One argument that is no list is a list of it, as GraphQL has it.
CREATE OR REPLACE FUNCTION fn_run(fraise_id text, environment text, arguments jsonb)
RETURNS mutation_answer LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    deployment uuid := uuidv7();
    place tb_environments := requested_environment(fraise_id, environment);
    what text := place.fraise_id || ' ' || place.environment;
    given jsonb := CASE jsonb_typeof(arguments) WHEN 'array' THEN arguments ELSE jsonb_build_array(arguments) END;
    serving tb_serving;
BEGIN
    SELECT * INTO serving FROM tb_serving AS s
    WHERE s.fraise_id = place.fraise_id AND s.environment = place.environment ORDER BY s.since DESC LIMIT 1;
    IF NOT place.kinds ? 'run' THEN
        PERFORM refuse_request(what || ' has no job: its type is for other things alone');
    ELSIF serving.since IS NULL THEN
        PERFORM refuse_request('no release of ' || what || ' serves: deploy it first');
    ELSIF serving.release IS NULL THEN
        PERFORM refuse_request('which release of ' || what || ' serves is unknown: deploy or roll back first');
    END IF;
    INSERT INTO tb_deployment_events (
        deployment_id, event, at, fraise_id, environment, kind, trigger, requested_by, arguments)
    VALUES (
        deployment, 'requested', clock_timestamp(), place.fraise_id, place.environment, 'run', 'manual',
        session_user, CASE WHEN arguments IS NOT NULL THEN nullif(given, '[]') END);
    RETURN answer(deployment, true);
END $$;

-- A kind of run that needs neither a release nor arguments.
CREATE OR REPLACE FUNCTION request_of_backups(kind text, lacks text, place tb_environments)
RETURNS mutation_answer LANGUAGE plpgsql AS $$
DECLARE
    deployment uuid := uuidv7();
BEGIN
    IF NOT place.kinds ? kind THEN
        PERFORM refuse_request(
            place.fraise_id || ' ' || place.environment || ' has no ' || lacks
            || ': its type is for other things alone');
    END IF;
    INSERT INTO tb_deployment_events (
        deployment_id, event, at, fraise_id, environment, kind, trigger, requested_by)
    VALUES (
        deployment, 'requested', clock_timestamp(), place.fraise_id, place.environment, kind, 'manual',
        session_user);
    RETURN answer(deployment, true);
END $$;

CREATE OR REPLACE FUNCTION fn_backup(fraise_id text, environment text)
RETURNS mutation_answer LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT r.* FROM request_of_backups('backup', 'backups', requested_environment(fraise_id, environment)) AS r
$$;

CREATE OR REPLACE FUNCTION fn_restore_test(fraise_id text, environment text)
RETURNS mutation_answer LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT r.* FROM request_of_backups(
        'restore_test', 'restore tests', requested_environment(fraise_id, environment)) AS r
$$;

CREATE OR REPLACE FUNCTION fn_cancel(id text)
RETURNS mutation_answer LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    deployment uuid := id;
BEGIN
    PERFORM FROM tb_environments AS e JOIN tb_deployments AS d USING (fraise_id, environment)
    WHERE d.id = deployment FOR NO KEY UPDATE OF e;
    IF NOT FOUND THEN
        PERFORM refuse_request('there is no deployment ' || deployment);
    ELSIF EXISTS (SELECT FROM tb_deployments AS d WHERE d.id = deployment AND d.completed_at IS NOT NULL) THEN
        RETURN answer(deployment, false);
    END IF;
    INSERT INTO tb_deployment_events (deployment_id, event, at, attempt, requested_by, message)
    VALUES (deployment, 'cancel_requested', clock_timestamp(), 0, session_user, 'cancelled by ' || session_user);
    RETURN answer(deployment, true);
END $$;

-- The releases that were deployed and healthy, newest first, each with its place; `given_up` says that it was rolled
-- back from, for one that is older.
CREATE OR REPLACE FUNCTION healthy_releases(place tb_environments)
RETURNS TABLE (nth bigint, release text, commit_sha text, given_up boolean) LANGUAGE sql STABLE AS $$
    WITH healthy AS (
        SELECT row_number() OVER (ORDER BY d.sequence DESC) AS nth, d.sequence, d.release, d.commit_sha
        FROM tb_deployments AS d
        WHERE d.fraise_id = place.fraise_id AND d.environment = place.environment AND d.status = 'success'
          AND d.source = 'commit' AND d.release IS NOT NULL
        ORDER BY d.sequence DESC LIMIT 100)
    SELECT h.nth, h.release, h.commit_sha,
           back.release IS NOT NULL AND NOT EXISTS (
               SELECT FROM healthy AS n WHERE n.nth < h.nth AND n.release = back.release)
    FROM healthy AS h
    LEFT JOIN LATERAL (
        SELECT b.release FROM tb_deployments AS b
        WHERE b.fraise_id = place.fraise_id AND b.environment = place.environment
          AND b.previous_release = h.release AND b.source = 'release' AND b.status = 'success'
          AND b.sequence > h.sequence
        ORDER BY b.sequence DESC LIMIT 1) AS back ON true
$$;

-- The newest healthy release that is older than the serving one and was not given up.
CREATE OR REPLACE FUNCTION release_before(place tb_environments) RETURNS text LANGUAGE sql STABLE AS $$
    WITH healthy AS (SELECT * FROM healthy_releases(place)),
    serving AS (
        SELECT s.release, s.commit_sha FROM tb_serving AS s
        WHERE s.fraise_id = place.fraise_id AND s.environment = place.environment
        ORDER BY s.since DESC LIMIT 1)
    SELECT h.release FROM healthy AS h LEFT JOIN serving AS s ON true
    WHERE NOT h.given_up AND h.commit_sha IS DISTINCT FROM s.commit_sha
      AND h.nth > coalesce((SELECT min(o.nth) FROM healthy AS o WHERE o.release = s.release), 0)
    ORDER BY h.nth LIMIT 1
$$;

-- The healthy release of that name, or else the newest whose name or commit begins so; all of them have one commit.
CREATE OR REPLACE FUNCTION release_named(place tb_environments, asked text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    releases text[];
    commits bigint;
BEGIN
    SELECT array_agg(h.release ORDER BY h.release <> asked, h.nth),
           count(DISTINCT h.commit_sha) FILTER (WHERE h.release <> asked)
    INTO releases, commits FROM healthy_releases(place) AS h
    WHERE asked <> '' AND (starts_with(h.release, asked) OR starts_with(h.commit_sha, lower(asked)));
    IF releases[1] <> asked AND commits > 1 THEN
        PERFORM refuse_request('"' || asked || '" is ambiguous: ' || array_to_string(releases, ', '));
    END IF;
    RETURN releases[1];
END $$;

CREATE OR REPLACE FUNCTION fn_rollback(fraise_id text, environment text, "to" text)
RETURNS mutation_answer LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    deployment uuid := uuidv7();
    place tb_environments := requested_environment(fraise_id, environment);
    target text := CASE WHEN "to" IS NULL THEN release_before(place) ELSE release_named(place, "to") END;
    running uuid := (
        SELECT d.id FROM tb_deployments AS d
        WHERE d.fraise_id = place.fraise_id AND d.environment = place.environment AND d.status = 'running'
          AND d.lane = 'release');
BEGIN
    IF "to" IS NULL AND running IS NOT NULL THEN
        PERFORM refuse_request('deployment ' || running || ' is running: cancel it, or name the release');
    ELSIF target IS NULL THEN
        PERFORM refuse_request(
            place.fraise_id || ' ' || place.environment || ' has no healthy release '
            || coalesce('"' || "to" || '"', 'older than the serving one'));
    END IF;
    INSERT INTO tb_deployment_events (
        deployment_id, event, at, fraise_id, environment, kind, trigger, requested_by, commit_sha, release)
    SELECT deployment, 'requested', clock_timestamp(), place.fraise_id, place.environment, 'rollback', 'manual',
           session_user, h.commit_sha, h.release
    FROM healthy_releases(place) AS h WHERE h.release = target ORDER BY h.nth LIMIT 1;
    RETURN answer(deployment, true);
END $$;

-- Nobody but who is granted it.
REVOKE EXECUTE ON FUNCTION
    fn_deploy(text, text, text, text, boolean), fn_run(text, text, jsonb), fn_backup(text, text),
    fn_restore_test(text, text), fn_cancel(text), fn_rollback(text, text, text), fn_hold(text, text, text, text), fn_resume(text, text)
FROM PUBLIC;
