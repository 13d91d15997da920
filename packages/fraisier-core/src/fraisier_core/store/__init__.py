"""The store: webhook events, deployment events, and what is folded from them."""

from fraisier_core.store.database import Database
from fraisier_core.store.deliveries import Deliveries, Delivery, Receipt, Requested
from fraisier_core.store.deployments import (
    ConfiguredEnvironment,
    Deployment,
    Deployments,
    Event,
    HealthyRelease,
    PushedCommit,
)
from fraisier_core.store.history import (
    DeploymentRecord,
    EnvironmentStatus,
    History,
    LogChunk,
    StepRecord,
)
from fraisier_core.store.leases import HeldLease, Lease, Leases
from fraisier_core.store.requests import Request

__all__ = [
    "ConfiguredEnvironment",
    "Database",
    "Deliveries",
    "Delivery",
    "Deployment",
    "DeploymentRecord",
    "Deployments",
    "EnvironmentStatus",
    "Event",
    "HealthyRelease",
    "HeldLease",
    "History",
    "Lease",
    "Leases",
    "LogChunk",
    "PushedCommit",
    "Receipt",
    "Request",
    "Requested",
    "StepRecord",
]
