"""Deliveries as people read them: a line each in a list, or one with everything that is recorded of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fraisier_core.push import spoken_ref

from fraisier.cli.tables import Cell, print_facts, print_table, short_commit, short_id, short_ids, status_cell
from fraisier.cli.times import ago

if TYPE_CHECKING:
    from fraisier_core.store.holds import Hold
    from fraisier_core.store.received import DeliveryDetails, ReceivedDelivery, ReceivedRef
    from fraisier_core.store.records import Deployment

TITLES = ("ID", "WHEN", "VERDICT", "PROVIDER", "REPOSITORY", "REF", "COMMIT", "BY", "REASON")
FIRST_TO_GO = ("BY", "COMMIT", "PROVIDER", "REPOSITORY", "WHEN")
LEAST = 200
COLOURS = {"accepted": "green", "refused": "red"}


def print_deliveries(deliveries: Sequence[DeliveryDetails], holds: Mapping[str, Hold]) -> None:
    """Print a table, a delivery a row; `holds` are what some of the deployments wait for, by their ids."""
    print_table(TITLES, [_row(each, holds) for each in deliveries], FIRST_TO_GO, LEAST)


def delivery_as_json(details: DeliveryDetails, holds: Mapping[str, Hold]) -> dict[str, Any]:
    """Return everything that is recorded of a delivery, for machines."""
    told = {each: hold._asdict() for each, hold in holds.items()}
    facts = details.delivery._asdict() | {"reasons": details.reasons, "body_kept": details.body_kept}
    of_forge = {key: getattr(details, key) for key in ("delivery_id", "urls", "body_sha256")}
    refs = [each._asdict() for each in details.refs]
    deployments = [each._asdict() | {"hold": told.get(each.id)} for each in details.deployments]
    return facts | of_forge | {"refs": refs, "deployments": deployments}


def print_delivery(details: DeliveryDetails, holds: Mapping[str, Hold]) -> None:
    """Print everything that is recorded of a delivery."""
    found = details.delivery
    print_facts(
        f"delivery {found.id}",
        [
            ("provider", found.provider),
            ("event", found.event_type),
            ("forge's id", details.delivery_id),
            ("repository", found.repository),
            *(("address", url) for url in details.urls),
            ("by", found.pusher),
            ("received", ago(found.received_at)),
            ("from", found.client),
            ("verdict", _verdict(found)),
            *(("reason", reason) for reason in found.reasons if not details.refs),
            ("first", found.duplicate_of),
            ("body", _body(details)),
        ],
    )
    for ref in details.refs:
        _print_ref(ref)
    for deployment in details.deployments:
        _print_deployment(deployment, holds.get(deployment.id))


def title_of(details: DeliveryDetails) -> str:
    """Return a delivery in one line."""
    found = details.delivery
    what = f"{found.provider} {found.event_type}" if found.event_type else f"for {found.provider}"
    of = f" of {found.repository}" if found.repository else ""
    by = f" by {found.pusher}" if found.pusher else ""
    sender = f" from {found.client}" if found.client else ""
    return f"delivery {short_id(found.id)}, {what}{of}{by}{sender}, {ago(found.received_at)}: {found.verdict}"


def _print_ref(ref: ReceivedRef) -> None:
    print_facts(
        spoken_ref(ref.ref),
        [
            ("before", ref.before_sha or "created"),
            ("after", ref.commit_sha or "deleted"),
            *(("reason", reason) for reason in ref.reasons),
        ],
    )


def _print_deployment(deployment: Deployment, hold: Hold | None) -> None:
    from fraisier_core.requests.outcomes import commands_after

    print_facts(
        f"deployment {deployment.id}",
        [
            ("what", f"{deployment.kind} of {deployment.fraise_id} {deployment.environment}"),
            ("status", status_cell(deployment.status)),
            ("waits", Cell(hold and hold.text, "yellow")),
            ("message", deployment.error_message),
            ("superseded by", deployment.superseded_by),
            *(("next", f"`{short_ids(command)}`") for command in commands_after(deployment)),
        ],
    )


def _row(details: DeliveryDetails, holds: Mapping[str, Hold]) -> Sequence[Cell | str | None]:
    found = details.delivery
    return (
        short_id(found.id),
        ago(found.received_at),
        _verdict(found),
        found.provider,
        found.repository,
        _refs(found),
        short_commit(found.commit_sha),
        found.pusher,
        _reason(details, holds),
    )


def _verdict(delivery: ReceivedDelivery) -> Cell:
    return Cell(delivery.verdict, COLOURS.get(delivery.verdict))


def _refs(delivery: ReceivedDelivery) -> str | None:
    if delivery.ref is None:
        return None
    more = f" and {delivery.refs - 1} more" if delivery.refs > 1 else ""
    return f"{spoken_ref(delivery.ref)}{more}"


def _reason(details: DeliveryDetails, holds: Mapping[str, Hold]) -> str:
    """Return why nothing was deployed, or what was requested and how that stands."""
    first = details.delivery.duplicate_of
    repeats = [f"repeats {short_id(first)}"] if first else []
    told = {each: f", {hold.text}" for each, hold in holds.items()}
    stand = [
        f"{each.fraise_id} {each.environment}: {each.status}{told.get(each.id, '')}"
        for each in details.deployments
    ]
    is_requested = details.delivery.verdict in {"accepted", "duplicate"}
    return "; ".join([*repeats, *stand, *(() if is_requested else details.reasons)])


def _body(details: DeliveryDetails) -> str:
    if details.body_sha256 is None:
        return "never kept: it was refused"
    return "kept" if details.body_kept else "not kept"
