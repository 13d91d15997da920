"""What a plugin's tests are built on; needs pytest, which only the tests install."""

import pytest

_TESTS = (
    "activating",
    "backup_conformance",
    "commit_statuses",
    "configuring",
    "fixtures",
    "forge",
    "in_engine",
    "installation",
    "job_running",
    "normalizing",
    "provider",
    "verifying",
    "written_releases",
)
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _TESTS))

from fraisier_core.testing.api_server import ApiRequest, ApiResponse, ApiServer  # noqa: E402
from fraisier_core.testing.backup_conformance import BackupConformance  # noqa: E402
from fraisier_core.testing.commit_statuses import StatusConformance, TakenStatus  # noqa: E402
from fraisier_core.testing.deployer import DeployerConformance  # noqa: E402
from fraisier_core.testing.fake_run import FakeRun  # noqa: E402
from fraisier_core.testing.forge import Forge  # noqa: E402
from fraisier_core.testing.provider import ProviderConformance  # noqa: E402

__all__ = [
    "ApiRequest",
    "ApiResponse",
    "ApiServer",
    "BackupConformance",
    "DeployerConformance",
    "FakeRun",
    "Forge",
    "ProviderConformance",
    "StatusConformance",
    "TakenStatus",
]
