"""Git: mirrors to deploy releases from, clones to deploy in place.

`remotes` says where a repository is fetched from, `local_git` how git is run so that it obeys nobody else's
configuration, `mirrors` and `clones` what is done with it.
"""

from __future__ import annotations

from fraisier_core.clones import Clone
from fraisier_core.mirrors import Mirror
from fraisier_core.remotes import Remote

__all__ = ["Clone", "Mirror", "Remote"]
