"""The section `notify:`: whom to notify, by name, of what, and how often."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, get_args

from fraisier_core import ObserverSettings, Section
from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, SecretStr, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

Change = Literal["failed", "rolled_back", "recovered", "overdue"]
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_NEXT = re.compile(r"[\s,]+[A-Za-z0-9]+://")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9.+-]*://\S")


def _address(url: SecretStr) -> SecretStr:
    if not _SCHEME.match(url.get_secret_value()):
        raise ValueError("should be a URL of Apprise, such as mailtos://user:password@example.com")
    if _NEXT.search(url.get_secret_value()):
        raise ValueError("should be one URL: give each a name of its own")
    return url


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


class Destination(Section):
    """One whom to notify.

    Args:
        url: where to, as Apprise has it; a secret as a whole.
        on: what of.
        per_hour: the most messages in an hour.
    """

    url: Annotated[SecretStr, AfterValidator(_address)]
    on: Annotated[tuple[Change, ...], BeforeValidator(_listed)] = get_args(Change)
    per_hour: int = Field(default=20, ge=1, le=1000)


class NotifySettings(ObserverSettings):
    """The section `notify:`, in which each key but `timeout` is the name of one whom to notify.

    Args:
        timeout: seconds that sending may take at a time.
        destinations: those to notify, by name.
    """

    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30.0
    destinations: dict[str, Destination] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, section: Any) -> Any:
        if not isinstance(section, Mapping):
            return section
        said = {key: value for key, value in section.items() if key == "timeout"}
        return said | {"destinations": {key: value for key, value in section.items() if key != "timeout"}}

    @model_validator(mode="after")
    def _names(self) -> NotifySettings:
        for name in self.destinations:
            if not _NAME.fullmatch(name):
                raise ValueError(f"should have names of 1 to 63 of a-z, 0-9, _ and -, found {name}")
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        found = handler.resolve_ref_schema(schema)
        found["additionalProperties"] = found["properties"].pop("destinations")["additionalProperties"]
        return schema

    def hearing(self, change: Change, narrowed: Collection[str] | None) -> list[str]:
        """Return the names of those who hear of a change, of those to whom an environment narrows it."""
        found = self.destinations.items()
        return [name for name, each in found if change in each.on and (narrowed is None or name in narrowed)]
