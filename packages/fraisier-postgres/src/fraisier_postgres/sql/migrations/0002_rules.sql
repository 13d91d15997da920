-- What the database itself guarantees for every writer: the events are append-only, only the holder of the
-- lease changes a running deployment, a newer request supersedes the one that waits, and one transaction at a time
-- changes the deployments of an environment: it holds the environment's row.

-- The functions below run as their owner, so that a role needs no more than to insert events.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE FUNCTION refuse(message text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING MESSAGE = message, ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM refuse(TG_TABLE_NAME || ' is append-only');
    RETURN NULL;
END $$;

CREATE TRIGGER deployment_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tb_deployment_events
FOR EACH STATEMENT EXECUTE FUNCTION append_only();

CREATE TRIGGER webhook_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tb_webhook_events
FOR EACH STATEMENT EXECUTE FUNCTION append_only();

CREATE TRIGGER webhook_refs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tb_webhook_refs
FOR EACH STATEMENT EXECUTE FUNCTION append_only();

CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tb_audit_events
FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- A token is revoked, once, and never changed otherwise.
CREATE FUNCTION revoke_only() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL THEN
        OLD.revoked_at := NEW.revoked_at;
        IF OLD = NEW THEN
            RETURN NEW;
        END IF;
    END IF;
    PERFORM refuse('a token can only be revoked');
    RETURN NULL;
END $$;

CREATE TRIGGER tokens_revoke_only BEFORE UPDATE ON tb_tokens
FOR EACH ROW EXECUTE FUNCTION revoke_only();

CREATE TRIGGER tokens_no_delete BEFORE DELETE OR TRUNCATE ON tb_tokens
FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- A hold is resumed, once, and never changed otherwise; only windows are deleted.
CREATE FUNCTION resume_only() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF OLD.cause = 'manual' AND OLD.resumed_at IS NULL AND NEW.resumed_at IS NOT NULL THEN
        OLD.resumed_at := NEW.resumed_at;
        OLD.resumed_by := NEW.resumed_by;
        IF OLD = NEW THEN
            RETURN NEW;
        END IF;
    END IF;
    PERFORM refuse('a hold can only be resumed');
    RETURN NULL;
END $$;

CREATE TRIGGER holds_resume_only BEFORE UPDATE ON tb_holds
FOR EACH ROW EXECUTE FUNCTION resume_only();

CREATE TRIGGER holds_no_delete BEFORE DELETE ON tb_holds
FOR EACH ROW WHEN (OLD.cause = 'manual') EXECUTE FUNCTION append_only();

CREATE TRIGGER holds_no_truncate BEFORE TRUNCATE ON tb_holds
FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- The holds that keep pushes waiting now, by the clock of the database when the statement began: a clock that goes on
-- meanwhile is volatile, and the views that ask here could not be planned together with what asks them. What a user holds
-- is held whatever the clock does: it may have been held after that, or the clock set back.
CREATE VIEW holds_in_force AS
SELECT * FROM tb_holds
WHERE resumed_at IS NULL AND (cause = 'manual' OR begins_at <= statement_timestamp())
  AND coalesce(ends_at, 'infinity') > statement_timestamp();

-- Wakes the workers once this transaction commits.
CREATE FUNCTION wake() RETURNS void LANGUAGE sql AS $$ SELECT pg_notify('fraisier_wake', '') $$;

-- The last number that an event has taken.
CREATE FUNCTION issued_sequence() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM deployment_event_sequence);
END $$;

-- The number of the next event. Transactions commit in another order than they take numbers, so a reader that follows
-- the events has to know which numbers may yet appear: before its first number a transaction says which one was
-- the last, as an advisory lock that it holds until it ends. Nothing waits for these locks; `stable_sequence` reads
-- them. A rollback to a savepoint undoes lock and setting alike.
CREATE FUNCTION next_sequence() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('fraisier.appends', true) IS DISTINCT FROM 'yes' THEN
        PERFORM pg_advisory_xact_lock_shared((CAST(18034 AS bigint) << 48) | issued_sequence());
        PERFORM set_config('fraisier.appends', 'yes', true);
    END IF;
    RETURN nextval('deployment_event_sequence');
END $$;

-- All numbers up to this one have appeared or never will, in every snapshot that is taken after the call.
CREATE FUNCTION stable_sequence() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    issued bigint := issued_sequence();  -- before the locks are read: later numbers are of no interest
BEGIN
    RETURN (
        SELECT least(issued, min(((CAST(classid AS bigint) & 65535) << 32) | CAST(objid AS bigint)))
        FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND CAST(classid AS bigint) >> 16 = 18034
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database()));
END $$;

-- The events after a number, for one who follows them: none appears behind what was returned. Each statement in
-- here needs a snapshot of its own, so the transaction has to be READ COMMITTED.
CREATE FUNCTION events_after(after bigint, most bigint) RETURNS SETOF tb_deployment_events LANGUAGE plpgsql AS $$
DECLARE
    stable bigint := stable_sequence();
BEGIN
    RETURN QUERY SELECT * FROM tb_deployment_events WHERE sequence > after AND sequence <= stable
    ORDER BY sequence LIMIT most;
END $$;

-- A request is of a known kind and, if the kind says so, supersedes the one that waits. One that repeats an
-- earlier delivery may turn out to be a replay, so it supersedes only another such. What came first may be stored last,
-- and nothing ends before it was requested. What is held supersedes nothing that is not: that is deployed meanwhile.
-- Returned with what its environment says of its job.
CREATE FUNCTION check_request(event tb_deployment_events) RETURNS tb_deployment_events LANGUAGE plpgsql AS $$
DECLARE
    place tb_environments;
BEGIN
    SELECT * INTO place FROM tb_environments AS e
    WHERE e.fraise_id = event.fraise_id AND e.environment = event.environment FOR NO KEY UPDATE;
    IF place.overlap IS NOT NULL AND (SELECT k.job FROM tb_kinds AS k WHERE k.name = event.kind) THEN
        event.overlap := place.overlap;
        event.deploys_wait := place.deploys_wait;
        event.executor := place.executor;
    END IF;
    INSERT INTO tb_deployment_events (deployment_id, event, at, superseded_by)
    SELECT d.id, 'superseded', greatest(event.at, d.requested_at), event.deployment_id
    FROM tb_deployments AS d
    WHERE d.fraise_id = event.fraise_id AND d.environment = event.environment AND d.kind = event.kind
      AND d.status = 'pending' AND d.supersedes AND (d.repeats IS NULL) = (event.repeats IS NULL)
      AND NOT (d.source = 'commit' AND NOT d.obeys_holds AND event.trigger <> 'manual'
               AND event.overridden_hold IS NULL AND EXISTS (
                   SELECT FROM holds_in_force AS h
                   WHERE h.fraise_id = event.fraise_id AND (h.environment IS NULL OR h.environment = event.environment)));
    RETURN event;
END $$;

-- Returns the number that follows. A deployment is read only once its environment is held, in a new snapshot; and
-- while the event is not committed, its lease cannot be taken away.
CREATE FUNCTION check_change(event tb_deployment_events) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    current tb_deployments;
BEGIN
    PERFORM FROM tb_environments AS e JOIN tb_deployments AS d USING (fraise_id, environment)
    WHERE d.id = event.deployment_id FOR NO KEY UPDATE OF e;
    SELECT * INTO current FROM tb_deployments AS d WHERE d.id = event.deployment_id;
    -- A request needs no lease, and one that waits may be superseded, skipped or cancelled by anyone.
    IF event.event <> 'cancel_requested'
       AND (event.event NOT IN ('superseded', 'skipped') OR current.status = 'running') THEN
        PERFORM FROM tb_leases AS l
        WHERE l.token = event.token AND l.deployment_id = event.deployment_id AND l.host = event.host
        FOR KEY SHARE;
        IF NOT FOUND THEN
            PERFORM refuse('fenced: the lease of this deployment is held by someone else');
        END IF;
    END IF;
    IF current.status NOT IN ('pending', 'running') THEN
        PERFORM refuse('this deployment has ended');
    END IF;
    RETURN current.last_event + 1;
END $$;

-- Ends a run that was requested while another of its environment was under way, if that is to be so. A deployment waits
-- for a backup of its own: another began before it.
CREATE FUNCTION skip_overlapping(event tb_deployment_events) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tb_deployment_events (deployment_id, event, at, message)
    SELECT event.deployment_id, 'skipped', event.at, d.kind || ' ' || d.id || ' is under way'
    FROM tb_deployments AS d
    WHERE d.fraise_id = event.fraise_id AND d.environment = event.environment AND d.kind = event.kind
      AND (d.source = 'serving' OR d.source = 'nothing') AND (d.status = 'pending' OR d.status = 'running')
      AND d.id <> event.deployment_id
    ORDER BY d.sequence LIMIT 1;
END $$;

-- The delivery that a request came with, or else the newest one; 0 if there is none.
CREATE FUNCTION newest_delivery(event tb_deployment_events) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN coalesce(
        (SELECT w.sequence FROM tb_webhook_events AS w
         WHERE w.id = event.webhook_event_id AND event.trigger = 'webhook'),
        (SELECT max(w.sequence) FROM tb_webhook_events AS w),
        0);
END $$;

-- Appends and folds an event. Before its row is inserted, so that of several requests in one statement each finds
-- those before it; what it supersedes gets the lower number.
CREATE FUNCTION append_deployment_event() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    next integer := 1;
BEGIN
    IF NEW.event = 'requested' THEN
        NEW := check_request(NEW);
        NEW.newest_delivery := coalesce(NEW.newest_delivery, newest_delivery(NEW));
    ELSE
        next := check_change(NEW);
    END IF;
    NEW.number := next;
    IF NEW.event IN ('requested', 'cancel_requested') THEN
        PERFORM wake();
    ELSE
        PERFORM pg_notify('fraisier_changes', '');
    END IF;
    NEW.sequence := next_sequence();
    PERFORM fold(NEW);
    IF NEW.event = 'requested' AND NEW.overlap = 'skip' AND NEW.trigger <> 'before_deploy' THEN
        PERFORM skip_overlapping(NEW);
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER deployment_events_append BEFORE INSERT ON tb_deployment_events
FOR EACH ROW EXECUTE FUNCTION append_deployment_event();

-- Whoever may not write leases may request, and nothing else. What a request supersedes, the owner writes.
CREATE FUNCTION require_worker() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT has_table_privilege('tb_leases', 'INSERT') THEN
        RAISE EXCEPTION USING
            MESSAGE = 'permission denied to append ' || NEW.event, ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER deployment_events_allow BEFORE INSERT ON tb_deployment_events
FOR EACH ROW WHEN (NEW.event <> 'requested') EXECUTE FUNCTION require_worker();

CREATE FUNCTION forget_refused_deliveries() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM tb_refused_deliveries WHERE sequence <= NEW.sequence - 1000;
    RETURN NULL;
END $$;

CREATE TRIGGER refused_deliveries_ring AFTER INSERT ON tb_refused_deliveries
FOR EACH ROW EXECUTE FUNCTION forget_refused_deliveries();

-- Records, with what this transaction changes, an id of it; nothing if it changes nothing. Clients that have changed
-- nothing for a week are forgotten.
CREATE FUNCTION note_change(own uuid, given uuid) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF pg_current_xact_id_if_assigned() IS NULL THEN
        RETURN;
    END IF;
    UPDATE tb_last_changes SET change = given, at = clock_timestamp() WHERE client = own;
    IF FOUND THEN
        RETURN;
    END IF;
    INSERT INTO tb_last_changes (client, change, at) VALUES (own, given, clock_timestamp())
    ON CONFLICT (client) DO UPDATE SET change = excluded.change, at = excluded.at;
    DELETE FROM tb_last_changes WHERE client IN (
        SELECT l.client FROM tb_last_changes AS l
        WHERE l.at < clock_timestamp() - make_interval(days => 7) FOR UPDATE SKIP LOCKED);
END $$;

-- The id of what a client committed last, once none of its transactions is in progress. Numbers of transactions do
-- not tell: a crash gives those out again that no other had seen.
CREATE FUNCTION last_change(own uuid) RETURNS uuid LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    found uuid;
BEGIN
    INSERT INTO tb_last_changes AS l (client, change, at) VALUES (own, gen_random_uuid(), clock_timestamp())
    ON CONFLICT (client) DO UPDATE SET at = excluded.at RETURNING l.change INTO found;
    RETURN found;
END $$;

-- What runs as the owner is of use to these tables alone.
REVOKE EXECUTE ON FUNCTION
    append_deployment_event(), forget_refused_deliveries(), note_change(uuid, uuid), last_change(uuid)
FROM PUBLIC;
