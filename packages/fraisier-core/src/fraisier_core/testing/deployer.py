"""What every fraise type must do, as tests that a deployer's own tests inherit."""

from __future__ import annotations

from fraisier_core.testing.activating import HookTests
from fraisier_core.testing.configuring import SettingsTests
from fraisier_core.testing.in_engine import EngineTests
from fraisier_core.testing.job_running import JobTests


class DeployerConformance(SettingsTests, HookTests, EngineTests, JobTests):
    """Base of a fraise type's tests: subclass it, say the following, and pytest runs the rest. Needs `git`::

        class TestMyType(DeployerConformance):
            plugin = fraisier_mytype

            def working(self, release):
                return self.running(release, "true")

            def failing(self, release):
                return self.running(release, "exit 1")

            def failing_late(self, release):
                return {**self.working(release), "restart": ["false"]}

            def running(self, release, script):
                (release / "install.sh").write_text(script)
                return {"script": "install.sh"}

    A type with jobs says `job` as well.

    Args:
        plugin: the module that holds the hooks.
    """
