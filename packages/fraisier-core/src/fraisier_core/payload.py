"""What a forge's JSON body becomes: frozen models that hold only the fields a provider reads."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from fraisier_core.errors import MalformedPayloadError

PayloadText = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
"""One line of text without control characters: a database refuses NUL, a terminal obeys escapes."""

PayloadRef = Annotated[
    str, StringConstraints(pattern=r"^refs/(?:[^\x00-\x20\x7f-\x9f]*[^\x00-\x20\x7f-\x9f/])$")
]
"""A full ref, such as `refs/heads/main`. Which refs git is given is decided elsewhere."""

PayloadCommit = Annotated[str, StringConstraints(pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")]
"""A full object id, SHA-1 or SHA-256; `commit_or_none` tells the zero id."""


class Payload(BaseModel):
    """Base of a provider's payload models: no type is converted, fields that no model names are skipped."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Return the payload that `body` holds.

        Args:
            body: JSON in UTF-8.

        Raises `MalformedPayloadError`, which names the field and never shows a value of the payload.
        """
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            raise MalformedPayloadError(_first_problem(error)) from None


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"the payload is not what the forge sends: {field or 'body'}: {first['type']}"
