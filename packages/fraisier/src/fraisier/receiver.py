"""From a request to a response: find the provider, verify, normalise, route, store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fraisier_core.config import Config
from fraisier_core.config.source import ConfigSource
from fraisier_core.errors import BoundSecretError, MalformedPayloadError, StoreError
from fraisier_core.git.origins import covered
from fraisier_core.git.repository import identities_of
from fraisier_core.plugins import Plugins, Provider
from fraisier_core.push import Ignored, Push, Unverified, Verified
from fraisier_core.requests.requesting import configure_store, requests_of
from fraisier_core.requests.routing import route
from fraisier_core.store.protocol import Store
from fraisier_core.store.received import DeliveredRef, Delivery
from fraisier_core.system.host import utc_now
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from fraisier.aside import Aside
from fraisier.body import is_large
from fraisier.failures import Failures
from fraisier.inbox import Inbox
from fraisier.receipts import receipt_response
from fraisier.refusals import Refusals
from fraisier.responses import error_response, too_many, unavailable
from fraisier.senders import Address, Senders

logger = logging.getLogger(__name__)

MAX_NAME_LENGTH = 200
MAX_REFS = 20_000
UNVERIFIED = "the delivery does not verify: check the secret on both sides"
NOT_COUNTED = "deliveries through a proxy on a private address are not limited by sender"


@dataclass(frozen=True, slots=True, eq=False)
class ConfiguredProvider:
    """A provider under the name of its section, as one request meets it; the configuration may change
    meanwhile. `bounds` are, for each of the secrets, the repositories that it is bound to, if it is.
    """

    name: str
    plugin: Provider
    secrets: tuple[str, ...] = field(repr=False)
    bounds: tuple[frozenset[str] | None, ...]
    senders: Senders
    config: Config

    @classmethod
    def of(cls, name: str, plugins: Plugins, config: Config) -> ConfiguredProvider:
        """Return the provider of a section of `git:`."""
        plugin, settings = plugins.provider(config.git.types[name]), config.git.providers[name]
        bounds = tuple(None if urls is None else identities_of(urls) for urls in settings.bounds())
        senders = Senders(settings.allow, settings.trusted_proxies)
        return cls(name, plugin, settings.secrets(), bounds, senders, config)

    def verify(self, headers: Mapping[str, str], body: bytes) -> Verified | Unverified | Ignored:
        """Return which of the secrets verifies a delivery, or why none does; `Ignored` as `verify` says."""
        verdict = self.plugin.verify(headers, body, self.secrets, datetime.now(UTC))
        if isinstance(verdict, Verified) and verdict.secret not in range(len(self.secrets)):
            return Unverified(f'plugin "{self.plugin.name}" names a secret that is not configured')
        return verdict


class Receiver:
    """Answers deliveries, under a configuration with the secrets of webhooks."""

    def __init__(self, source: ConfigSource, plugins: Plugins, store: Store) -> None:
        self._source = source
        self._plugins = plugins
        self._store = store
        self._inbox = Inbox(store)
        self._refusals = Refusals(store)
        self.failures = Failures()
        self._config: Config | None = None
        self._providers: Mapping[str, ConfiguredProvider] = {}
        self._configured = Aside(self.configure)

    def configure(self) -> Config:
        """Take the current configuration; a new one is written to the store first. Raises `StoreError`."""
        config = self._source.current()
        if config is not self._config:
            configure_store(self._store, config, executes=False)
            _warn(config, self._config)
            self._providers = {
                name: ConfiguredProvider.of(name, self._plugins, config) for name in config.git.providers
            }
            self._config = config
        return config

    async def provider(self, name: str | None) -> ConfiguredProvider:
        """Return the provider that a URL names, or the default one; raises `HTTPException` without one."""
        config = self._source.current()
        try:
            git = config.git if config is self._config else (await self._configured()).git
        except StoreError as error:
            logger.error("the configuration could not be stored: %s", error)
            raise unavailable("the store cannot be written") from None
        name = name or git.default or ""
        if name in self._providers:
            return self._providers[name]
        if name in git.missing:
            raise unavailable(git.missing[name])
        problem = "no such provider is configured" if name else "no git.provider is configured"
        raise HTTPException(404, problem)

    async def refuse_sender(self, provider: ConfiguredProvider, sender: Address | None) -> HTTPException:
        """Record that a sender may not send, and return the error for it, that of any unverified delivery."""
        await self._refusals.add(provider.name, sender, f"the sender is not in git.{provider.name}.allow")
        return HTTPException(401, UNVERIFIED)

    async def receive(
        self, provider: ConfiguredProvider, headers: Mapping[str, str], body: bytes, sender: Address | None
    ) -> Response:
        """Respond to a delivery, once what it requests is on disk. A large one is judged in a thread, so that
        others are answered meanwhile, and of a sender of many failures one at a time.
        """
        if not is_large(body):
            judged = _judged(provider, headers, body)
        else:
            try:
                async with self.failures.turn(sender):
                    judged = await asyncio.to_thread(_judged, provider, headers, body)
            except HTTPException as error:
                return error_response(error)
        if isinstance(judged, Unverified):
            await self._refusals.add(provider.name, sender, judged.reason)
            return self._unverified(provider, sender)
        if isinstance(judged, Ignored):
            return JSONResponse({"status": "ignored", "reasons": [judged.reason]})
        if isinstance(judged, MalformedPayloadError):
            await self._refusals.add(provider.name, sender, f"malformed: {judged}")
            return JSONResponse({"error": str(judged)}, 400)
        return await self._keep(judged, sender)

    def _unverified(self, provider: ConfiguredProvider, sender: Address | None) -> Response:
        """Count the failure, and respond to it."""
        seconds = self.failures.add(sender) if provider.senders.tells_apart(sender) else 0
        if not seconds:
            return JSONResponse({"error": UNVERIFIED}, 401)
        return error_response(too_many(f"{UNVERIFIED}; too many of this sender do not verify", seconds))

    async def _keep(self, delivery: Delivery, sender: Address | None) -> Response:
        try:
            receipt = await self._inbox.store(delivery)
        except StoreError:
            return error_response(unavailable("the event could not be stored"))
        if receipt.verdict == "conflict":
            reason = f"it has the delivery id of event {receipt.event_id}, and another body"
            await self._refusals.add(delivery.provider, sender, reason)
        return receipt_response(delivery, receipt)


def _warn(config: Config, before: Config | None) -> None:
    """Say what of a configuration will not work."""
    for name, reason in config.git.missing.items():
        logger.warning("git.%s: %s", name, reason)
    for name, settings in config.git.providers.items():
        if not settings.trusted_proxies:
            logger.info("git.%s: trusted_proxies is not set: %s", name, NOT_COUNTED)
    if not config.git.providers:
        logger.warning("%s: no provider under `git:` can be used, so every webhook is refused", config.path)
    for warning in config.warnings:
        logger.warning("%s", warning)
    if before is not None and config.database != before.database:
        logger.warning("database.url changed; restart fraisier-webhook and the worker to use it")


def _judged(
    provider: ConfiguredProvider, headers: Mapping[str, str], body: bytes
) -> Delivery | Ignored | Unverified | MalformedPayloadError:
    """Return what is stored of a delivery, or why nothing is."""
    verified = provider.verify(headers, body)
    if not isinstance(verified, Verified):
        return verified
    try:
        return _delivery(provider, verified, headers, body)
    except BoundSecretError as error:
        return Unverified(str(error))
    except MalformedPayloadError as error:
        return error


def _delivery(
    provider: ConfiguredProvider, verified: Verified, headers: Mapping[str, str], body: bytes
) -> Delivery:
    """Return what is stored of a verified delivery, with the deployments that it requests."""
    plugin = provider.plugin
    outcome = plugin.normalize(headers, body) or Ignored("push", "no ref was pushed")
    event = outcome.event if isinstance(outcome, Ignored) else outcome[0].event
    identity = plugin.delivery_id(headers)
    _check_name("event", event)
    if identity is not None:
        _check_name("delivery id", identity.value)
    known = (provider.name, event, identity, verified.signs_body, body, utc_now(), ())
    delivery = Delivery(*known, signed_sha256=verified.signed_sha256)
    if isinstance(outcome, Ignored):
        return delivery._replace(reasons=(outcome.reason,))
    return _requesting(delivery, outcome, provider, provider.bounds[verified.secret])


def _requesting(
    delivery: Delivery, pushes: Sequence[Push], provider: ConfiguredProvider, bound: frozenset[str] | None
) -> Delivery:
    """Return it with what its pushes request. Raises `BoundSecretError` if its secret is for others, and
    `MalformedPayloadError` if there are so many that the store would be held for longer than others wait.
    """
    if len(pushes) > MAX_REFS:
        raise MalformedPayloadError(f"it names {len(pushes):,} refs, and {MAX_REFS:,} are the most")
    first = pushes[0]
    ref, *more_refs = (_delivered(push, provider, bound) for push in pushes)
    return delivery._replace(
        **ref._asdict(),
        repository=first.repository,
        pusher=first.pusher,
        urls=covered(first, provider.config.git.hosts[provider.name], bound),
        more_refs=tuple(more_refs),
    )


def _delivered(push: Push, provider: ConfiguredProvider, bound: frozenset[str] | None) -> DeliveredRef:
    routing = route(push, provider.config, provider.name, bound)
    return DeliveredRef(push.ref, push.after, push.before, routing.reasons, requests_of(push, routing))


def _check_name(what: str, name: str) -> None:
    """Refuse what no forge sends: such names come from headers that nothing signs."""
    if len(name) > MAX_NAME_LENGTH or not name.isprintable():
        problem = f"is not printable or longer than {MAX_NAME_LENGTH} characters"
        raise MalformedPayloadError(f"the {what} {problem}")
