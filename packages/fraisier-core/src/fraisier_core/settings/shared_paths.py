"""Files and folders that outlive releases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from fraisier_core.settings.section import ReleasePath, Section


class SharedPath(Section):
    """A file or folder that lies beside the releases and is linked into each of them.

    Args:
        path: where it belongs in a release. A folder if it ends with `/`, or its last part has no dot.
        default: what of the first release that needs it becomes it, such as `.env.example`; it may be
            `path` itself. Without it, a folder begins empty, and a file must be there.
    """

    path: ReleasePath
    default: ReleasePath | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the path."""
        return PurePosixPath(self.path).parts

    @property
    def is_folder(self) -> bool:
        """Whether a folder is meant, unless what is there already says otherwise."""
        return self.path.endswith("/") or "." not in self.parts[-1]


def _apart(shared: Sequence[SharedPath]) -> Sequence[SharedPath]:
    for number, one in enumerate(shared):
        for other in shared[number + 1 :]:
            length = min(len(one.parts), len(other.parts))
            if one.parts[:length] == other.parts[:length]:
                raise ValueError(f"must not overlap: {one.path}, {other.path}")
    return shared


Shared = Annotated[
    SharedPath,
    BeforeValidator(
        lambda value: {"path": value} if isinstance(value, str) else value,
        json_schema_input_type=str | SharedPath,
    ),
]
SharedPaths = Annotated[tuple[Shared, ...], AfterValidator(_apart)]
