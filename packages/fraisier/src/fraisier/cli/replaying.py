"""What `fraisier webhooks replay` does: show what a delivery requests now, and request it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fraisier_core.errors import ConflictError, InvalidRequestError
from fraisier_core.push import spoken_ref
from fraisier_core.requests.requesting import replay_of, request_deployments
from fraisier_core.store.protocol import Reader
from fraisier_core.store.received import DeliveryDetails
from fraisier_core.store.records import Request

from fraisier.cli.reporting import warn_without_worker
from fraisier.cli.session import ActingSession
from fraisier.cli.tables import print_facts, short_id
from fraisier.exit_codes import ExitCode
from fraisier.terminal import print_json, say, tell

KEYS = ("fraise_id", "environment", "ref", "commit_sha", "before_sha", "pathspecs", "reason")
EMPTIED = "its body is not kept any more; a replay needs only what is recorded of it"


class Replayed(NamedTuple):
    """A request of a replay, and the id of what came later for its ref, if anything did."""

    request: Request
    newer: str | None


def replay_delivery(
    session: ActingSession, id_part: str, deploy: bool, older: bool, *, as_json: bool
) -> ExitCode:
    """Show what a delivery requests now, and request it if `deploy`. Return the exit code: a conflict if it
    would be refused. Raises `ConflictError` if something came later, unless `older`.
    """
    reader, delivery_id = session.found_delivery(id_part)
    found = reader.delivery(delivery_id)
    replayed = _replayed(session, reader, found)
    if not found.body_kept:
        tell(EMPTIED, "yellow")
    refused = None if older else _refused(replayed)
    if refused and deploy:
        raise ConflictError(refused)
    ids = _requested(session, replayed) if deploy else []
    if as_json:
        print_json(_as_json(delivery_id, replayed, ids))
    elif deploy and replayed:
        _print_requested(ids)
    else:
        _print_plan(delivery_id, replayed, refused)
    return ExitCode.CONFLICT if refused else ExitCode.SUCCESS


def _replayed(session: ActingSession, reader: Reader, found: DeliveryDetails) -> list[Replayed]:
    if found.delivery.verdict == "refused":
        what = f"delivery {short_id(found.delivery.id)} was refused"
        problem = "it was never verified and its body is not kept, so it cannot be replayed"
        raise InvalidRequestError(f"{what}: {problem}; let the forge deliver it again")
    requests = replay_of(found, session.config, session.user)
    return [Replayed(each, reader.newer_than(found.delivery.id, each)) for each in requests]


def _refused(replayed: Sequence[Replayed]) -> str | None:
    """Return why a replay is refused without `--older`."""
    for request, newer in replayed:
        if newer is not None:
            where = f"{request.fraise_id} {request.environment}"
            came = f"another commit of {spoken_ref(request.ref or '')} came later ({short_id(newer)})"
            return f"{where}: {came}; --older replays it nevertheless"
    return None


def _requested(session: ActingSession, replayed: Sequence[Replayed]) -> list[str]:
    for request, _ in replayed:
        session.usable_environment(request.fraise_id, request.environment)
    store = session.configured_store()
    ids = request_deployments(store, [each.request for each in replayed])
    if ids:
        warn_without_worker(store)
    return ids


def _as_json(delivery_id: str, replayed: Sequence[Replayed], ids: Sequence[str]) -> dict[str, Any]:
    requests = [{key: getattr(each, key) for key in KEYS} | {"newer": newer} for each, newer in replayed]
    return {"id": delivery_id, "requests": requests, "deployments": ids}


def _print_requested(ids: Sequence[str]) -> None:
    for each in ids:
        say(each)
        tell(f"follow it with `fraisier logs {short_id(each)} --follow`")


def _print_plan(delivery_id: str, replayed: Sequence[Replayed], refused: str | None) -> None:
    short = short_id(delivery_id)
    if not replayed:
        say(f"delivery {short} requests nothing now; `fraisier webhooks explain {short}` says why")
        return
    for request, newer in replayed:
        print_facts(
            f"{request.fraise_id} {request.environment}",
            [
                ("commit", request.commit_sha),
                ("ref", spoken_ref(request.ref or "")),
                ("reason", request.reason),
                ("newer", newer and short_id(newer)),
            ],
        )
    nothing = f"nothing was requested; `fraisier webhooks replay {short} --deploy` requests it"
    tell(f"it would be refused: {refused}" if refused else nothing)
