"""From a request to an answer: find the provider, verify, normalise, route, store."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fraisier_core.config import Config, ConfigSource
from fraisier_core.errors import MalformedPayloadError, StoreError
from fraisier_core.plugins import Plugins, Provider
from fraisier_core.push import Ignored, Push, Verified
from fraisier_core.requests.configured import configure_store
from fraisier_core.requests.routing import Routing, route
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Delivery, Receipt, Request

from fraisier.answer import Answer, RefusedError, refused, unavailable
from fraisier.inbox import Inbox
from fraisier.refusals import Refusals

logger = logging.getLogger(__name__)

MAX_NAME_LENGTH = 200
UNVERIFIED = "the delivery does not verify: check the secret on both sides"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A delivery as it came in.

    Args:
        headers: names in lower case, values decoded as Latin-1.
        body: the raw body.
        client: the address it came from.
    """

    headers: Mapping[str, str]
    body: bytes
    client: str


@dataclass(frozen=True, slots=True, eq=False)
class Forge:
    """A configured provider as one request meets it, whatever becomes of the configuration meanwhile.

    Args:
        provider: its plugin.
        secrets: its secrets.
        config: the whole configuration.
    """

    provider: Provider
    secrets: tuple[str, ...] = field(repr=False)
    config: Config


class Receiver:
    """Answers deliveries.

    Args:
        source: the configuration, with its secrets.
        plugins: the installed plugins.
        store: receives what is configured, and the deliveries.
    """

    def __init__(self, source: ConfigSource, plugins: Plugins, store: Store) -> None:
        self._source = source
        self._plugins = plugins
        self._store = store
        self._inbox = Inbox(store)
        self._refusals = Refusals(store)
        self._config: Config | None = None
        self._forges: Mapping[str, Forge] = {}

    def config(self) -> Config:
        """Return the configuration; if it changed, it is written to the store first. Raises `StoreError`."""
        config = self._source.current()
        if config is not self._config:
            configure_store(self._store, config)
            _warn(config, self._config)
            self._forges = {
                name: Forge(self._plugins.provider(name), settings.secrets(), config)
                for name, settings in config.git.providers.items()
            }
            self._config = config
        return config

    def forge(self, name: str | None) -> Forge:
        """Return the configured provider that a URL means.

        Args:
            name: the provider in the URL, None for `/webhook`.

        Raises `RefusedError` if there is none, or its package is missing.
        """
        try:
            git = self.config().git
        except StoreError as error:
            logger.error("the configuration could not be stored: %s", error)
            raise RefusedError(unavailable("the store cannot be written")) from None
        name = name or git.default or ""
        if name in self._forges:
            return self._forges[name]
        if name in git.missing:
            raise RefusedError(unavailable(git.missing[name]))
        raise refused(404, "no such provider is configured" if name else "no git.provider is configured")

    async def receive(self, forge: Forge, incoming: Incoming) -> Answer:
        """Respond to one delivery; what it requests is on disk before the response says so."""
        provider = forge.provider
        now = datetime.now(UTC)
        verified = provider.verify(incoming.headers, incoming.body, forge.secrets, now)
        if verified is None:
            await self._refusals.add(provider.name, incoming.client, "the signature or token does not verify")
            return Answer(401, {"error": UNVERIFIED})
        try:
            delivery = _delivery(forge, verified, incoming, now)
        except MalformedPayloadError as error:
            await self._refusals.add(provider.name, incoming.client, f"malformed: {error}")
            return Answer(400, {"error": str(error)})
        return await self._keep(delivery, incoming.client)

    async def _keep(self, delivery: Delivery, client: str) -> Answer:
        try:
            receipt = await self._inbox.store(delivery)
        except StoreError:
            return unavailable("the event could not be stored")
        if receipt.verdict == "conflict":
            reason = f"it has the delivery id of event {receipt.event_id}, and another body"
            await self._refusals.add(delivery.provider, client, reason)
        return _answer(delivery, receipt)


def _warn(config: Config, before: Config | None) -> None:
    """Say what of a configuration will not work."""
    for name, reason in config.git.missing.items():
        logger.warning("git.%s: %s", name, reason)
    if not config.git.providers:
        logger.warning("%s: no provider under `git:` can be used, so every webhook is refused", config.path)
    if before is not None and config.database != before.database:
        logger.warning("database.url changed; restart fraisier-webhook and the worker to use it")


def _delivery(forge: Forge, verified: Verified, incoming: Incoming, now: datetime) -> Delivery:
    provider = forge.provider
    outcome = provider.normalize(incoming.headers, incoming.body)
    received_at = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    identity = provider.delivery_id(incoming.headers)
    if identity is not None:
        _check_name("delivery id", identity.value)
    signs_body = verified.signs_body
    if isinstance(outcome, Ignored) or not outcome:
        ignored = outcome if isinstance(outcome, Ignored) else Ignored("push", "no ref was pushed")
        _check_name("event", ignored.event)
        return Delivery(
            provider.name, ignored.event, identity, signs_body, incoming.body, received_at, (ignored.reason,)
        )
    routings = [route(push, forge.config) for push in outcome]
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
        ref=first.ref,
        commit_sha=first.after,
        before_sha=first.before,
        pusher=first.pusher,
    )


def _check_name(what: str, name: str) -> None:
    """Refuse what no forge sends: such names come from headers that nothing signs."""
    if len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise MalformedPayloadError(
            f"the {what} is not printable or longer than {MAX_NAME_LENGTH} characters"
        )


def _requests(pushes: Sequence[Push], routings: Sequence[Routing]) -> tuple[Request, ...]:
    return tuple(
        Request(
            target.fraise,
            target.environment,
            "deploy",
            "webhook",
            push.pusher,
            ref=target.ref,
            commit_sha=target.commit_sha,
            before_sha=target.before_sha,
            pathspecs=target.pathspecs,
            reason=target.reason,
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
    body["deployments"] = [
        {"id": each.id, "fraise": each.fraise_id, "environment": each.environment, "status": each.status}
        for each in receipt.deployments
    ]
    if receipt.verdict == "duplicate":
        body["deploy_again"] = [_again(request) for request in delivery.requests]
    return Answer(202 if receipt.verdict == "accepted" else 200, body)


def _again(request: Request) -> str:
    return f"fraisier deploy {request.fraise_id} {request.environment} --commit {request.commit_sha}"
