"""What every section of `fraises.yaml` is, and values that many of them hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from fraisier_core.push import is_ref_name


def _not_blank(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("must not be empty")
    return secret


def _branch_name(name: str) -> str:
    if not is_ref_name(name):
        raise ValueError("is not a branch name")
    return name


def _within_release(path: str) -> str:
    parts = path.removesuffix("/").split("/")
    if not path.isprintable() or {"", ".", ".."}.intersection(parts):
        raise ValueError("must be a path within the release, such as uploads/images, without . or ..")
    if parts[0].lower() == ".git":
        raise ValueError("must not be a part of .git")
    return path


AsList = BeforeValidator(lambda value: value if isinstance(value, list | tuple) else [value])
NonEmptySecret = Annotated[SecretStr, AfterValidator(_not_blank)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
BranchName = Annotated[str, AfterValidator(_branch_name)]
Notify = Annotated[tuple[str, ...], AsList]
ReleasePath = Annotated[str, AfterValidator(_within_release)]


class Section(BaseModel):
    """A section of the configuration: frozen, unknown keys are errors, and its repr shows no value.

    Any value may come from a `${VARIABLE}` and be secret, whatever the type of its field.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    def __repr_args__(self) -> Iterable[tuple[str, object]]:
        return ()
