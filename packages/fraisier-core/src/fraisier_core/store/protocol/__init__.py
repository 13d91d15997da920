"""The store as everything above it sees it: `Reader` reads, `Store` writes too.

Connections, transactions, SQL and the driver's exceptions stay inside; every method may raise `StoreError`.
"""

from fraisier_core.store.protocol.deployment_reader import DeploymentReader
from fraisier_core.store.protocol.record_reader import Commits, Reader
from fraisier_core.store.protocol.record_store import Store, WakeUps

__all__ = ["Commits", "DeploymentReader", "Reader", "Store", "WakeUps"]
