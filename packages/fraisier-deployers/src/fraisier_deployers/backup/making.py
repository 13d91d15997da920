"""A backup that is being made: what is known of it before there is one."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime

from fraisier_deployers.backup.dumping import Dumped
from fraisier_deployers.backup.manifest import Manifest, backup_name


@dataclass(frozen=True, slots=True)
class Making:
    """A backup that is being made.

    Args:
        fraise: whose it is.
        environment: of that fraise.
        deployment_id: of the run that makes it.
        asked_by: the deployment that it is made for.
        created_at: when it began.
        installation: that makes it.
    """

    fraise: str
    environment: str
    deployment_id: str
    asked_by: str | None
    created_at: datetime
    installation: str

    @property
    def host(self) -> str:
        """Where it is made."""
        return socket.gethostname()

    @property
    def name(self) -> str:
        """The name of the backup."""
        return backup_name(self.fraise, self.environment, self.created_at, self.deployment_id)

    def manifest(self, file: str, dumped: Dumped) -> Manifest:
        """Return the manifest of what was dumped."""
        return Manifest(
            name=self.name,
            fraise=self.fraise,
            environment=self.environment,
            host=self.host,
            installation=self.installation,
            created_at=self.created_at,
            deployment_id=self.deployment_id,
            asked_by=self.asked_by,
            file=file,
            size=dumped.size,
            sha256=dumped.sha256,
            plain_size=dumped.size,
            plain_sha256=dumped.sha256,
            facts=dumped.facts,
        )
