-- What the database itself guarantees for every writer: the events are append-only, only the holder of the
-- lease changes a running deployment, and a newer request supersedes the one that waits.

CREATE TRIGGER deployment_events_no_update BEFORE UPDATE ON tb_deployment_events
BEGIN SELECT RAISE(ABORT, 'tb_deployment_events is append-only'); END;

CREATE TRIGGER deployment_events_no_delete BEFORE DELETE ON tb_deployment_events
BEGIN SELECT RAISE(ABORT, 'tb_deployment_events is append-only'); END;

-- What may be appended. One trigger, because each that fires costs as much as an index.
CREATE TRIGGER deployment_events_rules BEFORE INSERT ON tb_deployment_events
BEGIN
    -- INSERT OR REPLACE deletes without firing a delete trigger.
    SELECT RAISE(ABORT, 'tb_deployment_events is append-only')
    WHERE EXISTS (SELECT 1 FROM tb_deployment_events WHERE sequence = NEW.sequence)
       OR EXISTS (SELECT 1 FROM tb_deployment_events
                  WHERE deployment_id = NEW.deployment_id AND number = NEW.number);
    -- A request needs no lease, and one that waits may be superseded, skipped or cancelled by anyone.
    SELECT RAISE(ABORT, 'fenced: the lease of this deployment is held by someone else')
    WHERE NEW.event NOT IN ('requested', 'cancel_requested')
      AND (NEW.event NOT IN ('superseded', 'skipped')
           OR EXISTS (SELECT 1 FROM tb_deployments WHERE id = NEW.deployment_id AND status = 'running'))
      AND NOT EXISTS (SELECT 1 FROM tb_leases
                      WHERE token = NEW.token AND deployment_id = NEW.deployment_id AND host = NEW.host);
    SELECT RAISE(ABORT, 'this deployment has ended')
    WHERE EXISTS (SELECT 1 FROM tb_deployments
                  WHERE id = NEW.deployment_id AND status NOT IN ('pending', 'running'));
END;

CREATE TRIGGER webhook_events_no_update BEFORE UPDATE ON tb_webhook_events
BEGIN SELECT RAISE(ABORT, 'tb_webhook_events is append-only'); END;

CREATE TRIGGER webhook_events_no_delete BEFORE DELETE ON tb_webhook_events
BEGIN SELECT RAISE(ABORT, 'tb_webhook_events is append-only'); END;

CREATE TRIGGER webhook_events_no_replace BEFORE INSERT ON tb_webhook_events
WHEN EXISTS (SELECT 1 FROM tb_webhook_events WHERE sequence = NEW.sequence OR id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'tb_webhook_events is append-only'); END;

CREATE TRIGGER webhook_refs_no_update BEFORE UPDATE ON tb_webhook_refs
BEGIN SELECT RAISE(ABORT, 'tb_webhook_refs is append-only'); END;

CREATE TRIGGER webhook_refs_no_delete BEFORE DELETE ON tb_webhook_refs
BEGIN SELECT RAISE(ABORT, 'tb_webhook_refs is append-only'); END;

CREATE TRIGGER webhook_refs_no_replace BEFORE INSERT ON tb_webhook_refs
WHEN EXISTS (SELECT 1 FROM tb_webhook_refs
             WHERE sequence = NEW.sequence
                OR (webhook_event_id = NEW.webhook_event_id AND number = NEW.number))
BEGIN SELECT RAISE(ABORT, 'tb_webhook_refs is append-only'); END;

-- A request is of a known kind and, if the kind says so, supersedes the one that waits. One that repeats an
-- earlier delivery may turn out to be a replay, so it supersedes only another such. What came first may be stored last,
-- and nothing ends before it was requested. What is held supersedes nothing that is not: that is deployed meanwhile.
CREATE TRIGGER deployment_request BEFORE INSERT ON tb_deployment_events
WHEN NEW.event = 'requested'
BEGIN
    SELECT RAISE(ABORT, 'unknown kind of deployment')
    WHERE NOT EXISTS (SELECT 1 FROM tb_kinds WHERE name = NEW.kind);
    INSERT INTO tb_deployment_events (deployment_id, number, event, at, superseded_by)
    SELECT id, last_event + 1, 'superseded', max(NEW.at, requested_at), NEW.deployment_id
    FROM tb_deployments INDEXED BY one_pending_deployment
    WHERE fraise_id = NEW.fraise_id AND environment = NEW.environment AND kind = NEW.kind
      AND status = 'pending' AND supersedes = 1 AND (repeats IS NULL) = (NEW.repeats IS NULL)
      AND NOT (source = 'commit' AND NOT obeys_holds AND NEW.trigger <> 'manual' AND NEW.overridden_hold IS NULL
               AND EXISTS (
                   SELECT 1 FROM holds_in_force AS h
                   WHERE h.fraise_id = NEW.fraise_id AND (h.environment IS NULL OR h.environment = NEW.environment)));
END;

CREATE TRIGGER refused_deliveries_ring AFTER INSERT ON tb_refused_deliveries
BEGIN DELETE FROM tb_refused_deliveries WHERE sequence <= NEW.sequence - 1000; END;

CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON tb_audit_events
BEGIN SELECT RAISE(ABORT, 'tb_audit_events is append-only'); END;

CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON tb_audit_events
BEGIN SELECT RAISE(ABORT, 'tb_audit_events is append-only'); END;

CREATE TRIGGER audit_events_no_replace BEFORE INSERT ON tb_audit_events
WHEN EXISTS (SELECT 1 FROM tb_audit_events WHERE sequence = NEW.sequence)
BEGIN SELECT RAISE(ABORT, 'tb_audit_events is append-only'); END;

-- A token is revoked, once, and never changed otherwise.
CREATE TRIGGER tokens_no_update BEFORE UPDATE ON tb_tokens
WHEN OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL
  OR (OLD.id, OLD.name, OLD.prefix, OLD.sha256, OLD.level, OLD.fraise_id, OLD.environment, OLD.created_at,
      OLD.created_by, OLD.expires_at)
  IS NOT (NEW.id, NEW.name, NEW.prefix, NEW.sha256, NEW.level, NEW.fraise_id, NEW.environment, NEW.created_at,
          NEW.created_by, NEW.expires_at)
BEGIN SELECT RAISE(ABORT, 'a token can only be revoked'); END;

CREATE TRIGGER tokens_no_delete BEFORE DELETE ON tb_tokens
BEGIN SELECT RAISE(ABORT, 'tb_tokens is append-only'); END;

CREATE TRIGGER tokens_no_replace BEFORE INSERT ON tb_tokens
WHEN EXISTS (SELECT 1 FROM tb_tokens
             WHERE id = NEW.id OR prefix = NEW.prefix OR (name = NEW.name AND revoked_at IS NULL))
BEGIN SELECT RAISE(ABORT, 'tb_tokens is append-only'); END;

-- A hold is resumed, once, and never changed otherwise; only windows are deleted.
CREATE TRIGGER holds_no_update BEFORE UPDATE ON tb_holds
WHEN OLD.cause <> 'manual' OR OLD.resumed_at IS NOT NULL OR NEW.resumed_at IS NULL
  OR (OLD.id, OLD.cause, OLD.fraise_id, OLD.environment, OLD.reason, OLD.held_by, OLD.schedule, OLD.begins_at,
      OLD.ends_at)
  IS NOT (NEW.id, NEW.cause, NEW.fraise_id, NEW.environment, NEW.reason, NEW.held_by, NEW.schedule, NEW.begins_at,
          NEW.ends_at)
BEGIN SELECT RAISE(ABORT, 'a hold can only be resumed'); END;

CREATE TRIGGER holds_no_delete BEFORE DELETE ON tb_holds WHEN OLD.cause = 'manual'
BEGIN SELECT RAISE(ABORT, 'tb_holds is append-only'); END;

CREATE TRIGGER holds_no_replace BEFORE INSERT ON tb_holds
WHEN EXISTS (SELECT 1 FROM tb_holds WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'tb_holds is append-only'); END;

-- The holds that keep pushes waiting now, by the clock of the host. What a user holds is held whatever the clock does.
CREATE VIEW holds_in_force AS
SELECT * FROM tb_holds
WHERE resumed_at IS NULL AND (cause = 'manual' OR begins_at <= strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))
  AND coalesce(ends_at, '9999') > strftime('%Y-%m-%dT%H:%M:%f000Z', 'now');

-- What may be claimed: nothing runs in its lane and, where it supersedes nothing, nothing else there is its turn
-- before. What a unit executes does not wait for what is no more urgent and waits for a worker, which may be down; and
-- nothing waits for what is held.
CREATE VIEW claimable_deployments AS
SELECT * FROM tb_deployments AS waiting
WHERE status = 'pending'
  AND NOT (obeys_holds AND EXISTS (
      SELECT 1 FROM holds_in_force AS h
      WHERE h.fraise_id = waiting.fraise_id AND (h.environment IS NULL OR h.environment = waiting.environment)))
  AND (lane IS NULL
       OR (NOT EXISTS (
               SELECT 1 FROM tb_deployments AS busy INDEXED BY one_running_deployment
               WHERE busy.fraise_id = waiting.fraise_id AND busy.environment = waiting.environment
                 AND busy.lane = waiting.lane AND busy.lane IS NOT NULL AND busy.status = 'running')
           AND (supersedes = 1
                OR NOT EXISTS (
                    SELECT 1 FROM tb_deployments AS ahead INDEXED BY pending_deployment
                    WHERE ahead.fraise_id = waiting.fraise_id AND ahead.environment = waiting.environment
                      AND ahead.status = 'pending' AND ahead.lane = waiting.lane
                      AND NOT (ahead.obeys_holds AND EXISTS (
                          SELECT 1 FROM holds_in_force AS h
                          WHERE h.fraise_id = ahead.fraise_id
                            AND (h.environment IS NULL OR h.environment = ahead.environment)))
                      AND (ahead.priority > waiting.priority
                           OR (ahead.priority = waiting.priority AND ahead.sequence < waiting.sequence
                               AND (ahead.executor IS 'unit' OR waiting.executor IS NOT 'unit')))))));
