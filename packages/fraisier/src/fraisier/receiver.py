"""From a request to an answer: find the provider, verify, normalise, route, store."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from fraisier_core.config import Config, ConfigSource
from fraisier_core.configured import configure_store
from fraisier_core.errors import MalformedPayloadError, StoreError
from fraisier_core.plugins import Plugins, Provider
from fraisier_core.push import Ignored, Push, Verified
from fraisier_core.routing import Routing, route
from fraisier_core.store import Deliveries, Delivery, Deployments, Receipt, Request

from fraisier.inbox import Inbox
from fraisier.refusals import Refusals

logger = logging.getLogger(__name__)

RETRY_SECONDS = "10"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a forge is told.

    Args:
        status: the HTTP status.
        body: becomes JSON.
        headers: beside the content type.
    """

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A delivery as it came in.

    Args:
        provider: the name in the URL, None for `/webhook`.
        headers: names in lower case, values decoded as Latin-1.
        body: the raw body.
        client: the address it came from.
    """

    provider: str | None
    headers: Mapping[str, str]
    body: bytes
    client: str


class Receiver:
    """Answers deliveries.

    Args:
        source: the configuration, with its secrets.
        plugins: the installed plugins.
        deployments: told what is configured.
        deliveries: where deliveries are stored.
    """

    def __init__(
        self, source: ConfigSource, plugins: Plugins, deployments: Deployments, deliveries: Deliveries
    ) -> None:
        self._source = source
        self._plugins = plugins
        self._deployments = deployments
        self._inbox = Inbox(deliveries, source.current().state_dir)
        self._refusals = Refusals(deliveries)
        self._config: Config | None = None

    def config(self) -> Config:
        """Return the configuration; where it changed, the store is told first."""
        config = self._source.current()
        if config is not self._config:
            configure_store(self._deployments, config)
            self._config = config
        return config

    def unknown(self, provider: str | None) -> Answer | None:
        """Return the answer for a provider that is not configured or whose package is missing, else None."""
        git = self.config().git
        name = provider or git.default
        if name is not None and name in git.missing:
            return Answer(503, {"error": git.missing[name]}, {"retry-after": RETRY_SECONDS})
        if name is None or name not in git.providers:
            text = f"no provider {name!r} is configured" if name else "no git.provider is configured"
            return Answer(404, {"error": text})
        return None

    async def receive(self, incoming: Incoming) -> Answer:
        """Answer one delivery; what it asks for is on disk before the answer says so."""
        config = self.config()
        name = incoming.provider or config.git.default or ""
        provider = self._plugins.provider(name)
        now = datetime.now(UTC)
        secrets = config.git.providers[name].secrets()
        verified = provider.verify(incoming.headers, incoming.body, secrets, now)
        if verified is None:
            self._refusals.add(name, incoming.client, "the signature or token does not verify")
            return Answer(401, {"error": "the delivery does not verify: check the secret on both sides"})
        try:
            delivery = _delivery(provider, verified, incoming, config, now)
        except MalformedPayloadError as error:
            self._refusals.add(name, incoming.client, f"malformed: {error}")
            return Answer(400, {"error": str(error)})
        return await self._store(delivery)

    async def _store(self, delivery: Delivery) -> Answer:
        try:
            receipt = await self._inbox.store(delivery)
        except StoreError:
            return Answer(503, {"error": "the event could not be stored"}, {"retry-after": RETRY_SECONDS})
        logger.info(
            "%s %s of %s %s: %s", delivery.provider, delivery.event_type, delivery.repository or "-",
            delivery.branch or "-", receipt.verdict,
        )  # fmt: skip
        return _answer(delivery, receipt)


def _delivery(
    provider: Provider, verified: Verified, incoming: Incoming, config: Config, now: datetime
) -> Delivery:
    outcome = provider.normalize(incoming.headers, incoming.body)
    received_at = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    identity = provider.delivery_id(incoming.headers)
    signs_body = verified.signs_body
    if isinstance(outcome, Ignored) or not outcome:
        reason = outcome.reason if isinstance(outcome, Ignored) else "no ref was pushed"
        event = outcome.event if isinstance(outcome, Ignored) else "push"
        return Delivery(provider.name, event, identity, signs_body, incoming.body, received_at, (reason,))
    routings = [route(push, config) for push in outcome]
    first = outcome[0]
    return Delivery(
        provider.name,
        first.event,
        identity,
        signs_body,
        incoming.body,
        received_at,
        tuple(reason for routing in routings for reason in _reasons(routing)),
        _requests(outcome, routings),
        repository=first.repository,
        branch=first.name,
        commit_sha=first.after,
        before_sha=first.before,
        pusher=first.pusher,
    )


def _requests(pushes: Sequence[Push], routings: Sequence[Routing]) -> tuple[Request, ...]:
    return tuple(
        Request(
            target.fraise, target.environment, "deploy", "webhook", push.pusher, target.branch, target.commit
        )
        for push, routing in zip(pushes, routings, strict=True)
        for target in routing.targets
    )


def _reasons(routing: Routing) -> list[str]:
    matched = [f"{target.fraise} {target.environment}: {target.reason}" for target in routing.targets]
    others = [f"{each.rule.fraise} {each.rule.environment}: {each.reason}" for each in routing.rejections]
    return matched + others or ["branch_mapping is empty"]


def _answer(delivery: Delivery, receipt: Receipt) -> Answer:
    body: dict[str, Any] = {"status": receipt.verdict, "event": receipt.event_id}
    if receipt.verdict == "ignored":
        return Answer(200, body | {"reasons": list(delivery.reasons)})
    if receipt.verdict == "conflict":
        text = "a delivery with this id and another body was accepted before"
        return Answer(409, body | {"error": text})
    body["deployments"] = [asdict(deployment) for deployment in receipt.deployments]
    if receipt.verdict == "duplicate":
        body["deploy_again"] = [_again(delivery, request) for request in delivery.requests]
    return Answer(202 if receipt.verdict == "accepted" else 200, body)


def _again(delivery: Delivery, request: Request) -> str:
    return f"fraisier deploy {request.fraise} {request.environment} --commit {delivery.commit_sha}"
