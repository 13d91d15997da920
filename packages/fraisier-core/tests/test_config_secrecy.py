from __future__ import annotations

import re
from typing import Annotated, Generic, Literal, TypeVar

import pytest
from fraisier_core.config.sections import holds_secret
from fraisier_core.settings import NonEmptySecret, Section
from pydantic import Field, Secret, SecretBytes, SecretStr

T = TypeVar("T")


class OwnSecret(SecretStr):
    """A subclass, by another name."""


class Login(Section):
    user: str
    password: SecretStr


class Tree(Section):
    parts: dict[str, Tree] = Field(default_factory=dict)
    login: Login | None = None


class Endless(Section):
    parts: list[Endless] = Field(default_factory=list)


class SecretaryName(Section):
    """Its name is no secret."""

    secret_santa: str


class Box(Section, Generic[T]):
    content: T


@pytest.mark.parametrize(
    "annotation",
    [
        SecretStr,
        SecretBytes,
        OwnSecret,
        Secret[int],
        NonEmptySecret,
        SecretStr | None,
        Annotated[tuple[NonEmptySecret, ...], Field(min_length=1)],
        dict[str, list[OwnSecret | int]],
        Login,
        list[Tree],
        Box[SecretStr],
    ],
    ids=lambda annotation: re.sub(r" at 0x\w+", "", str(annotation)),
)
def test_what_is_or_holds_a_secret_is_known_by_its_type(annotation: object) -> None:
    assert holds_secret(annotation)


@pytest.mark.parametrize(
    "annotation",
    [str, Endless, SecretaryName, Literal["Secret"], Annotated[str, Field(title="Secret")], Box[str]],
    ids=str,
)
def test_what_only_says_secret_is_none(annotation: object) -> None:
    assert not holds_secret(annotation)
