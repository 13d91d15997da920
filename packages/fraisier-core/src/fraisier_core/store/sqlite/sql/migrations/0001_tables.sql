-- Write side. Times are UTC text with six digits; ids are time-ordered UUIDs in text; every table is an
-- ordinary rowid table, because those cost half of what tables keyed by the id cost. What a column may say is
-- a chain of OR: for a longer IN list SQLite builds a table each time.

CREATE TABLE tb_fraises (
    id          TEXT PRIMARY KEY,
    type        TEXT NOT NULL,
    description TEXT,
    repository  TEXT,
    problem     TEXT,
    configured  INTEGER NOT NULL CHECK (configured IN (0, 1))
) STRICT;

-- What is configured; `kinds` are those of its type, a list in JSON, NULL if nobody knew. If there is a job, `overlap`
-- says what becomes of a run that is requested while another is under way, `deploys_wait` whether deployments and runs
-- exclude each other, `executor` who executes jobs.
CREATE TABLE tb_environments (
    fraise_id    TEXT NOT NULL REFERENCES tb_fraises (id),
    environment  TEXT NOT NULL,
    name         TEXT,
    branch       TEXT,
    app_path     TEXT,
    position     INTEGER NOT NULL DEFAULT 0,
    kinds        TEXT,
    overlap      TEXT CHECK (overlap = 'queue' OR overlap = 'skip' OR overlap = 'allow'),
    deploys_wait INTEGER CHECK (deploys_wait IN (0, 1)),
    executor     TEXT CHECK (executor = 'worker' OR executor = 'unit'),
    configured   INTEGER NOT NULL CHECK (configured IN (0, 1)),
    PRIMARY KEY (fraise_id, environment)
) STRICT;

-- The kinds of deployments, as `vocabulary.KINDS` has them: written whenever the store is opened for writing.
CREATE TABLE tb_kinds (
    name       TEXT PRIMARY KEY,
    source     TEXT NOT NULL CHECK (
        source = 'commit' OR source = 'release' OR source = 'serving' OR source = 'nothing'),
    lane       TEXT,
    supersedes INTEGER NOT NULL CHECK (supersedes IN (0, 1)),
    shown      INTEGER NOT NULL CHECK (shown IN (0, 1)),
    job        INTEGER NOT NULL CHECK (job IN (0, 1)),
    priority   INTEGER NOT NULL
) STRICT;

-- Every verified delivery, with the first ref that it pushed. A key column is set only if the delivery requested
-- a deployment: only then is the same delivery a duplicate, or a delivery of the same signed body a repetition.
-- `duplicate_of` is the first delivery; `urls` and `reasons` are lists in JSON.
CREATE TABLE tb_webhook_events (
    sequence      INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    provider      TEXT NOT NULL,
    event_type    TEXT NOT NULL,
    delivery_id   TEXT,
    delivery_key  TEXT,
    body_sha256   TEXT NOT NULL,
    body_key      TEXT,
    repository    TEXT,
    urls          TEXT NOT NULL,
    ref           TEXT,
    branch        TEXT,
    commit_sha    TEXT,
    before_sha    TEXT,
    pusher        TEXT,
    received_at   TEXT NOT NULL,
    verdict       TEXT NOT NULL CHECK (
        verdict = 'accepted' OR verdict = 'ignored' OR verdict = 'duplicate'),
    duplicate_of  TEXT,
    reasons       TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX webhook_event_by_delivery ON tb_webhook_events (provider, delivery_key)
    WHERE delivery_key IS NOT NULL;
CREATE UNIQUE INDEX webhook_event_by_body ON tb_webhook_events (provider, body_key)
    WHERE body_key IS NOT NULL;

-- What else was pushed, if a delivery brings several refs: the second is number 2.
CREATE TABLE tb_webhook_refs (
    sequence         INTEGER PRIMARY KEY,
    webhook_event_id TEXT NOT NULL,
    number           INTEGER NOT NULL,
    ref              TEXT NOT NULL,
    commit_sha       TEXT,
    before_sha       TEXT,
    reasons          TEXT NOT NULL,
    UNIQUE (webhook_event_id, number)
) STRICT;

-- The bodies lie apart, so that retention can empty this table while the event keeps hash and facts. Each is
-- an LZ4 frame: a third of the pages to write, for less time than writing them takes. `sequence` is the event's.
CREATE TABLE tb_webhook_payloads (
    sequence         INTEGER PRIMARY KEY,
    webhook_event_id TEXT NOT NULL,
    body             BLOB NOT NULL
) STRICT;

-- The newest thousand deliveries that did not verify, without their bodies.
CREATE TABLE tb_refused_deliveries (
    sequence    INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    provider    TEXT NOT NULL,
    received_at TEXT NOT NULL,
    client      TEXT NOT NULL,
    reason      TEXT NOT NULL
) STRICT;

-- Every change of every deployment. Columns that an event does not need are NULL. `newest_delivery` is the sequence
-- of the webhook event that requested it or else of the newest one by then, 0 if there was none: it says what came
-- first, a delivery or a request, whatever the clock did. `requested_for` is the deployment or run that requested it;
-- what the environment says of its job is copied with the request of a run. `overridden_hold` is the reason of the
-- hold that a request overrides, `stored_at` says where a backup lies.
CREATE TABLE tb_deployment_events (
    sequence            INTEGER PRIMARY KEY,
    deployment_id       TEXT NOT NULL,
    number              INTEGER NOT NULL,
    event               TEXT NOT NULL CHECK (
        event = 'requested' OR event = 'superseded' OR event = 'cancel_requested' OR event = 'claimed' OR
        event = 'requeued' OR event = 'step_started' OR event = 'step_finished' OR
        event = 'release_chosen' OR event = 'activation_started' OR event = 'rollback_started' OR
        event = 'serving' OR event = 'stored' OR event = 'success' OR event = 'failed' OR
        event = 'rolled_back' OR event = 'cancelled' OR event = 'interrupted' OR
        event = 'skipped'),
    at                  TEXT NOT NULL,
    token               INTEGER,
    host                TEXT,
    attempt             INTEGER,
    fraise_id           TEXT,
    environment         TEXT,
    kind                TEXT,
    trigger             TEXT CHECK (
        trigger = 'webhook' OR trigger = 'manual' OR trigger = 'recovery' OR trigger = 'replay' OR
        trigger = 'reconcile' OR trigger = 'schedule' OR trigger = 'on_deploy' OR trigger = 'on_failure' OR
        trigger = 'before_deploy'),
    requested_by        TEXT,
    ref                 TEXT,
    commit_sha          TEXT,
    before_sha          TEXT,
    pathspecs           TEXT,
    reason              TEXT,
    recovers            TEXT,
    repeats             TEXT,
    arguments           TEXT,
    requested_for       TEXT,
    overlap             TEXT CHECK (overlap = 'queue' OR overlap = 'skip' OR overlap = 'allow'),
    deploys_wait        INTEGER CHECK (deploys_wait IN (0, 1)),
    executor            TEXT CHECK (executor = 'worker' OR executor = 'unit'),
    overridden_hold     TEXT,
    webhook_event_id    TEXT,
    newest_delivery     INTEGER,
    superseded_by       TEXT,
    release             TEXT,
    previous_release    TEXT,
    previous_commit_sha TEXT,
    step                TEXT,
    step_number         INTEGER,
    step_status         TEXT CHECK (
        step_status = 'success' OR step_status = 'failed' OR step_status = 'cancelled' OR
        step_status = 'interrupted'),
    repeatable          INTEGER CHECK (repeatable IN (0, 1)),
    duration            REAL,
    message             TEXT,
    stored_name         TEXT,
    stored_size         INTEGER,
    stored_sha256       TEXT,
    stored_at           TEXT,
    UNIQUE (deployment_id, number)
) STRICT;

-- One row a deployment, folded from its events. `position` is the sequence of the event that set its status.
CREATE TABLE tb_deployments (
    sequence            INTEGER PRIMARY KEY,
    id                  TEXT NOT NULL UNIQUE,
    fraise_id           TEXT NOT NULL,
    environment         TEXT NOT NULL,
    kind                TEXT NOT NULL REFERENCES tb_kinds (name),
    source              TEXT NOT NULL,
    lane                TEXT,
    supersedes          INTEGER NOT NULL,
    shown               INTEGER NOT NULL,
    priority            INTEGER NOT NULL,
    status              TEXT NOT NULL CHECK (
        status = 'pending' OR status = 'running' OR status = 'success' OR status = 'failed' OR
        status = 'rolled_back' OR status = 'cancelled' OR status = 'interrupted' OR status = 'skipped' OR
        status = 'superseded'),
    requested_at        TEXT NOT NULL,
    started_at          TEXT,
    completed_at        TEXT,
    duration            REAL,
    error_message       TEXT,
    commit_sha          TEXT,
    ref                 TEXT,
    before_sha          TEXT,
    pathspecs           TEXT,
    reason              TEXT,
    trigger             TEXT NOT NULL,
    requested_by        TEXT,
    webhook_event_id    TEXT,
    newest_delivery     INTEGER NOT NULL,
    release             TEXT,
    previous_release    TEXT,
    previous_commit_sha TEXT,
    superseded_by       TEXT,
    recovers            TEXT,
    repeats             TEXT,
    arguments           TEXT,
    requested_for       TEXT,
    executor            TEXT,
    overridden_hold     TEXT,
    obeys_holds         INTEGER NOT NULL DEFAULT 0,
    stored_name         TEXT,
    stored_size         INTEGER,
    stored_sha256       TEXT,
    stored_at           TEXT,
    stored_problem      TEXT,
    attempt             INTEGER NOT NULL DEFAULT 0,
    activation_started  INTEGER NOT NULL DEFAULT 0,
    rollback_started    INTEGER NOT NULL DEFAULT 0,
    unrepeatable        INTEGER NOT NULL DEFAULT 0,
    cancel_requested    INTEGER NOT NULL DEFAULT 0,
    last_event          INTEGER NOT NULL,
    position            INTEGER NOT NULL,
    FOREIGN KEY (fraise_id, environment) REFERENCES tb_environments (fraise_id, environment)
) STRICT;
CREATE UNIQUE INDEX one_pending_deployment ON tb_deployments (fraise_id, environment, kind, repeats IS NULL, obeys_holds)
    WHERE status = 'pending' AND supersedes = 1;
CREATE INDEX pending_deployment ON tb_deployments (fraise_id, environment, sequence)
    WHERE status = 'pending';
CREATE INDEX run_awaiting_its_unit ON tb_deployments (sequence) WHERE status = 'pending' AND executor = 'unit';
CREATE INDEX run_of_a_schedule ON tb_deployments (fraise_id, environment, sequence) WHERE trigger = 'schedule';
CREATE UNIQUE INDEX one_running_deployment ON tb_deployments (fraise_id, environment, lane)
    WHERE status = 'running' AND lane IS NOT NULL;
CREATE INDEX deployment_by_fraise ON tb_deployments (fraise_id, sequence);
CREATE INDEX deployment_by_environment ON tb_deployments (fraise_id, environment, sequence);
CREATE INDEX deployment_of_note ON tb_deployments (fraise_id, environment, sequence)
    WHERE status <> 'pending' AND status <> 'skipped' AND status <> 'superseded' AND shown = 1;
CREATE INDEX deployment_that_succeeded ON tb_deployments (fraise_id, environment, sequence)
    WHERE status = 'success' AND source = 'commit';
CREATE INDEX rollback_that_succeeded ON tb_deployments (fraise_id, environment, previous_release)
    WHERE status = 'success' AND source = 'release';
CREATE INDEX use_under_way ON tb_deployments (fraise_id, environment, sequence)
    WHERE (source = 'serving' OR source = 'nothing') AND (status = 'pending' OR status = 'running');
CREATE INDEX run_begun ON tb_deployments (fraise_id, environment, kind, sequence)
    WHERE (source = 'serving' OR source = 'nothing') AND status <> 'pending' AND status <> 'skipped';
CREATE INDEX use_that_succeeded ON tb_deployments (fraise_id, environment, release)
    WHERE source = 'serving' AND status = 'success';
CREATE INDEX deployment_by_deployment ON tb_deployments (requested_for) WHERE requested_for IS NOT NULL;
CREATE INDEX deployment_by_webhook_event ON tb_deployments (webhook_event_id)
    WHERE webhook_event_id IS NOT NULL;

-- One row for each host that executes a deployment, and each attempt; folded.
CREATE TABLE tb_attempts (
    deployment_id TEXT NOT NULL,
    host          TEXT NOT NULL,
    attempt       INTEGER NOT NULL,
    started_at    TEXT NOT NULL,
    completed_at  TEXT,
    outcome       TEXT,
    PRIMARY KEY (deployment_id, host, attempt)
) STRICT;

-- The steps of an attempt; folded.
CREATE TABLE tb_steps (
    deployment_id TEXT NOT NULL,
    host          TEXT NOT NULL,
    attempt       INTEGER NOT NULL,
    number        INTEGER NOT NULL,
    name          TEXT NOT NULL,
    status        TEXT NOT NULL,
    repeatable    INTEGER NOT NULL DEFAULT 1,
    started_at    TEXT NOT NULL,
    completed_at  TEXT,
    duration      REAL,
    message       TEXT,
    PRIMARY KEY (deployment_id, host, attempt, number)
) STRICT;

-- The serving release, apart from what was requested; NULL says that it is unknown. Folded.
CREATE TABLE tb_serving (
    fraise_id     TEXT NOT NULL,
    environment   TEXT NOT NULL,
    host          TEXT NOT NULL,
    release       TEXT,
    commit_sha    TEXT,
    deployment_id TEXT NOT NULL,
    since         TEXT NOT NULL,
    PRIMARY KEY (fraise_id, environment, host)
) STRICT;

-- Redacted, bounded output of the steps: the oldest chunks of a step give way to newer ones.
CREATE TABLE tb_deployment_logs (
    sequence      INTEGER PRIMARY KEY,
    deployment_id TEXT NOT NULL,
    host          TEXT NOT NULL,
    attempt       INTEGER NOT NULL,
    step_number   INTEGER NOT NULL,
    at            TEXT NOT NULL,
    text          TEXT NOT NULL,
    dropped       INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX deployment_log_by_step ON tb_deployment_logs (deployment_id, step_number, sequence);

-- Who works on a deployment, and until when: mutable, outside fold and rebuild. The token is never used
-- twice. `expires` is in seconds of this boot (CLOCK_BOOTTIME), so that no change of the clock matters.
CREATE TABLE tb_leases (
    token           INTEGER PRIMARY KEY AUTOINCREMENT,
    deployment_id   TEXT NOT NULL,
    host            TEXT NOT NULL,
    attempt         INTEGER NOT NULL,
    boot_id         TEXT NOT NULL,
    pid             INTEGER NOT NULL,
    pid_started     INTEGER NOT NULL,
    command_pid     INTEGER,
    command_started INTEGER,
    expires         REAL NOT NULL,
    UNIQUE (deployment_id, host)
) STRICT;

-- The workers and when they last said that they live, in seconds of the boot; mutable.
CREATE TABLE tb_workers (
    host        TEXT NOT NULL,
    pid         INTEGER NOT NULL,
    pid_started INTEGER NOT NULL,
    boot_id     TEXT NOT NULL,
    heartbeat   REAL NOT NULL,
    PRIMARY KEY (host, pid)
) STRICT;

-- How far each observer has seen the deployment events, how often the next one has failed, and the last problem of
-- the observer, and when that was; mutable.
CREATE TABLE tb_observers (
    name       TEXT PRIMARY KEY,
    sequence   INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    problem    TEXT,
    problem_at TEXT
) STRICT;

-- What an observer could not do last about a deployment, and of which event it had been told; mutable.
CREATE TABLE tb_untold (
    deployment_id TEXT NOT NULL,
    observer      TEXT NOT NULL,
    sequence      INTEGER NOT NULL,
    event         TEXT NOT NULL,
    at            TEXT NOT NULL,
    problem       TEXT NOT NULL,
    PRIMARY KEY (deployment_id, observer)
) STRICT;

-- The branches that an environment follows, as the repository had them when it was asked last; mutable. A row
-- without a name says that the repository could not be asked since, and why.
CREATE TABLE tb_branch_heads (
    fraise_id   TEXT NOT NULL,
    environment TEXT NOT NULL,
    ref         TEXT NOT NULL,
    head        TEXT,
    seen_at     TEXT NOT NULL,
    problem     TEXT,
    PRIMARY KEY (fraise_id, environment, ref)
) STRICT;

-- What keeps pushes waiting: what users hold until they resume it, and the present and next windows of `freeze:`, which
-- are written by the `schedule` that they follow and deleted once they are over. NULL as an environment stands for all
-- of the fraise. A hold is in force from `begins_at` until `ends_at`, if it has an end, or until it is resumed.
CREATE TABLE tb_holds (
    id          TEXT PRIMARY KEY,
    cause       TEXT NOT NULL CHECK (cause = 'manual' OR cause = 'freeze'),
    fraise_id   TEXT NOT NULL,
    environment TEXT,
    reason      TEXT NOT NULL,
    held_by     TEXT,
    schedule    TEXT,
    begins_at   TEXT NOT NULL,
    ends_at     TEXT,
    resumed_at  TEXT,
    resumed_by  TEXT
) STRICT;
CREATE INDEX hold_of_fraise ON tb_holds (fraise_id, coalesce(ends_at, '9999')) WHERE resumed_at IS NULL;
CREATE INDEX hold_by_end ON tb_holds (coalesce(ends_at, '9999')) WHERE resumed_at IS NULL;
CREATE UNIQUE INDEX freeze_window ON tb_holds (fraise_id, environment, schedule, reason, begins_at) WHERE cause = 'freeze';

-- What clients prove themselves with, without their secrets. NULL as a fraise or environment stands for all.
CREATE TABLE tb_tokens (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    prefix      TEXT NOT NULL UNIQUE,
    sha256      TEXT NOT NULL,
    level       TEXT NOT NULL CHECK (level = 'read' OR level = 'deploy'),
    fraise_id   TEXT,
    environment TEXT,
    created_at  TEXT NOT NULL,
    created_by  TEXT NOT NULL,
    expires_at  TEXT,
    revoked_at  TEXT
) STRICT;
CREATE UNIQUE INDEX token_by_name ON tb_tokens (name) WHERE revoked_at IS NULL;

-- Who was given a token, was refused what, and restored or pruned backups; what was refused alike within a while is one
-- row, with its count.
CREATE TABLE tb_audit_events (
    sequence    INTEGER PRIMARY KEY,
    at          TEXT NOT NULL,
    actor       TEXT,
    action      TEXT NOT NULL CHECK (
        action = 'token_created' OR action = 'token_revoked' OR action = 'not_admitted' OR action = 'forbidden'
        OR action = 'restore' OR action = 'prune'),
    subject     TEXT,
    detail      TEXT,
    occurrences INTEGER NOT NULL
) STRICT;
