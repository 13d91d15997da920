"""How a service is probed, and what its answer must say."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, model_validator

from fraisier_core.settings.section import Seconds, Section
from fraisier_core.text.http_settings import HeaderName, HeaderValue

COMMIT_PLACEHOLDER = "${commit}"
ESCAPED = "$${"  # stands for `${`
_COMMIT_OR_ESCAPED = re.compile(f"{re.escape(COMMIT_PLACEHOLDER)}|{re.escape(ESCAPED)}")


def _filled(value: object, commit_sha: str) -> object:
    if isinstance(value, dict):
        return {key: _filled(item, commit_sha) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, commit_sha) for item in value]
    if not isinstance(value, str):
        return value
    return _COMMIT_OR_ESCAPED.sub(lambda found: "${" if found[0] == ESCAPED else commit_sha, value)


class Expectation(Section):
    """What an answer must say to be healthy; `${commit}` in a value is the full id of the release's commit.

    Args:
        status: its status; by default, any 2xx.
        body: text that its body contains.
        json: what its body says as JSON; a mapping may hold more.
        header: headers that it has, with these values.
    """

    status: int | None = Field(default=None, ge=100, le=599)
    body: Annotated[str, Field(min_length=1)] | None = None
    json_: dict[str, object] = Field(default_factory=dict, alias="json")
    header: dict[str, str] = Field(default_factory=dict)

    def takes(self, status: int) -> bool:
        """Whether a status is one that is expected."""
        return status == self.status if self.status is not None else 200 <= status < 300


class HealthCheck(Section):
    """How `run.probe()` probes the service; exactly one of the first four.

    Args:
        url: GET it; any 2xx answer is healthy, a redirect is not, unless `expect` says otherwise.
        command: run it in the release; exit status 0 is healthy.
        tcp: `host:port` that must accept a connection.
        unit: systemd unit that must be active.
        expect: what the answer from `url` must say.
        headers: headers of the request to `url`.
        host: the host that the request is for and the certificate must name, instead of that of `url`.
        timeout: seconds that one probe may take.
        retries: probes before the deployment counts as unhealthy; none begins after `probing_seconds`.
        interval: seconds from the start of one probe to that of the next.
    """

    url: str | None = Field(default=None, pattern=r"^https?://")
    command: list[str] | None = Field(default=None, min_length=1)
    tcp: str | None = Field(default=None, pattern=r"^.+:\d+$")
    unit: str | None = None
    expect: Expectation | None = None
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    host: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._:\[\]-]+$")
    timeout: Seconds = 5.0
    retries: int = Field(default=10, ge=1)
    interval: float = Field(default=1.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _exactly_one_probe(self) -> HealthCheck:
        if sum(probe is not None for probe in (self.url, self.command, self.tcp, self.unit)) != 1:
            raise ValueError("set exactly one of url, command, tcp, unit")
        if self.url is None and (self.expect or self.headers or self.host):
            raise ValueError("expect, headers and host are for url alone")
        return self

    def for_commit(self, commit_sha: str) -> HealthCheck:
        """Return this check with `${commit}` in what it expects replaced, and `$${` by `${`."""
        if self.expect is None:
            return self
        filled = {name: _filled(value, commit_sha) for name, value in vars(self.expect).items()}
        return self.model_copy(update={"expect": self.expect.model_copy(update=filled)})

    @property
    def probing_seconds(self) -> float:
        """For how long new probes begin while the service is unhealthy, however long each of them takes."""
        return max((self.retries - 1) * self.interval, self.timeout)
