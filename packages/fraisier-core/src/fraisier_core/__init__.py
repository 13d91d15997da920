"""The core of Fraisier: hook specs, configuration, store and engine.

Plugins import from here and from `fraisier_core.testing` alone. A name is loaded when it is first used,
so that a command which needs few of them starts fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fraisier_core.access.bearer import token_of_payload
    from fraisier_core.access.gate import Gate
    from fraisier_core.access.grants import ADMIT, GRANT, Grant
    from fraisier_core.access.scope import Scope
    from fraisier_core.errors import (
        ActivationRefusedError,
        BusyError,
        CommandFailedError,
        ConfigurationError,
        ConflictError,
        FencedError,
        ForbiddenError,
        FraisierError,
        InvalidRequestError,
        MalformedPayloadError,
        NoResponseError,
        OutdatedStoreError,
        StepFailedError,
        StoreError,
        TellLaterError,
        TellNoMoreError,
        UnauthenticatedError,
        UnknownNameError,
        UnknownOutcomeError,
        UnreachableStoreError,
    )
    from fraisier_core.health import Health
    from fraisier_core.job_settings import BackupJobSettings, JobSettings, RestoreTestSection, Schedule
    from fraisier_core.kept_backups import (
        BackupContext,
        BackupCopy,
        KeptBackups,
        ListedPlace,
        PrunedPlace,
        RestoredBackup,
        VerifiedCopy,
    )
    from fraisier_core.markers import hookimpl
    from fraisier_core.mount import Actions, App, MountContext
    from fraisier_core.observer_context import EnvironmentFacts, Missed, ObserverContext
    from fraisier_core.payload import (
        Payload,
        PayloadCommit,
        PayloadRef,
        PayloadRefName,
        PayloadText,
        form_or_json,
    )
    from fraisier_core.provider_settings import ForgeApi, ProviderObserverSettings, ProviderSettings
    from fraisier_core.push import (
        BRANCH_PREFIX,
        SAMPLE_REF,
        TAG_PREFIX,
        DeliveryId,
        Ignored,
        Push,
        SampleDelivery,
        Unverified,
        Verified,
        commit_or_none,
    )
    from fraisier_core.release import Release
    from fraisier_core.run import Run
    from fraisier_core.settings import (
        EnvironmentSettings,
        MountSettings,
        ObserverSettings,
        ReleasePath,
        Section,
    )
    from fraisier_core.signature import hmac_signature, sender, verify_hmac
    from fraisier_core.statuses.commit_status import CommitState, CommitStatus
    from fraisier_core.statuses.status_api import StatusApi, quoted, retry_after
    from fraisier_core.statuses.status_hooks import status_hooks
    from fraisier_core.store.events import DeploymentEvent
    from fraisier_core.store.protocol import Commits, Reader
    from fraisier_core.store.records import Deployment
    from fraisier_core.store.vocabulary import ENDED
    from fraisier_core.stored import Stored
    from fraisier_core.system.commands import CommandResult
    from fraisier_core.system.deletion import delete_tree
    from fraisier_core.system.disk import replace_file, sync_directory
    from fraisier_core.system.host import Host
    from fraisier_core.system.outgoing import HttpResponse, ask
    from fraisier_core.system.processes import ProcessIdentity, die_with_parent
    from fraisier_core.system.systemd import RunsFrom, UnitState, release_of_process, unit_state
    from fraisier_core.system.unit_watch import UnitWatch, unit_failure

__all__ = [
    "ADMIT",
    "BRANCH_PREFIX",
    "ENDED",
    "GRANT",
    "SAMPLE_REF",
    "TAG_PREFIX",
    "Actions",
    "ActivationRefusedError",
    "App",
    "BackupContext",
    "BackupCopy",
    "BackupJobSettings",
    "BusyError",
    "CommandFailedError",
    "CommandResult",
    "CommitState",
    "CommitStatus",
    "Commits",
    "ConfigurationError",
    "ConflictError",
    "DeliveryId",
    "Deployment",
    "DeploymentEvent",
    "EnvironmentFacts",
    "EnvironmentSettings",
    "FencedError",
    "ForbiddenError",
    "ForgeApi",
    "FraisierError",
    "Gate",
    "Grant",
    "Health",
    "Host",
    "HttpResponse",
    "Ignored",
    "InvalidRequestError",
    "JobSettings",
    "KeptBackups",
    "ListedPlace",
    "MalformedPayloadError",
    "Missed",
    "MountContext",
    "MountSettings",
    "NoResponseError",
    "ObserverContext",
    "ObserverSettings",
    "OutdatedStoreError",
    "Payload",
    "PayloadCommit",
    "PayloadRef",
    "PayloadRefName",
    "PayloadText",
    "ProcessIdentity",
    "ProviderObserverSettings",
    "ProviderSettings",
    "PrunedPlace",
    "Push",
    "Reader",
    "Release",
    "ReleasePath",
    "RestoreTestSection",
    "RestoredBackup",
    "Run",
    "RunsFrom",
    "SampleDelivery",
    "Schedule",
    "Scope",
    "Section",
    "StatusApi",
    "StepFailedError",
    "StoreError",
    "Stored",
    "TellLaterError",
    "TellNoMoreError",
    "UnauthenticatedError",
    "UnitState",
    "UnitWatch",
    "UnknownNameError",
    "UnknownOutcomeError",
    "UnreachableStoreError",
    "Unverified",
    "Verified",
    "VerifiedCopy",
    "ask",
    "commit_or_none",
    "delete_tree",
    "die_with_parent",
    "form_or_json",
    "hmac_signature",
    "hookimpl",
    "quoted",
    "release_of_process",
    "replace_file",
    "retry_after",
    "sender",
    "status_hooks",
    "sync_directory",
    "token_of_payload",
    "unit_failure",
    "unit_state",
    "verify_hmac",
]

# The cheap ones first: all are looked through.
_MODULES = (
    "system.processes",
    "errors",
    "health",
    "markers",
    "push",
    "release",
    "signature",
    "stored",
    "system.disk",
    "system.host",
    "system.deletion",
    "payload",
    "settings",
    "job_settings",
    "provider_settings",
    "store.events",
    "store.records",
    "system.systemd",
    "observer_context",
    "system.unit_watch",
    "run",
    "kept_backups",
    "mount",
    "access.grants",
    "access.scope",
    "access.bearer",
    "access.gate",
    "store.protocol",
    "store.vocabulary",
    "system.outgoing",
    "statuses.commit_status",
    "statuses.status_api",
    "statuses.status_hooks",
)


def __getattr__(name: str) -> object:
    for module in _MODULES if name in __all__ else ():
        found = import_module(f"fraisier_core.{module}")
        if hasattr(found, name):
            return getattr(found, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
