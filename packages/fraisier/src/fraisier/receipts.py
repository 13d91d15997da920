"""What a forge is told of a delivery that was stored."""

from __future__ import annotations

from itertools import islice
from typing import Any

import msgspec
from fraisier_core.requests.outcomes import CONDITION
from fraisier_core.store.received import Delivery, Receipt
from starlette.responses import JSONResponse, Response

KNOWN_BODY = "this body was accepted before"


def receipt_response(delivery: Delivery, receipt: Receipt) -> Response:
    """Return the response to a delivery that was stored, or that another one precludes."""
    body: dict[str, Any] = {"status": receipt.verdict, "event": receipt.event_id}
    if receipt.verdict == "ignored":
        reasons = [*delivery.reasons, *(reason for each in delivery.more_refs for reason in each.reasons)]
        return JSONResponse(body | {"reasons": reasons} | _refs(delivery, receipt))
    if receipt.verdict == "conflict":
        text = "a delivery with this id and another body was accepted before"
        return JSONResponse(body | {"error": text}, 409)
    body["deployments"] = [
        {
            "id": each.id,
            "fraise": each.fraise_id,
            "environment": each.environment,
            "status": each.status,
            **({"held": each.hold} if each.hold else {}),
            "follow": f"fraisier logs {each.id} --follow",
        }
        for each in receipt.deployments
    ]
    if receipt.verdict == "duplicate":
        return JSONResponse(body | _deploy_again(delivery))
    if receipt.repeats is not None:
        condition = f"{KNOWN_BODY}: {CONDITION}"
        body |= {"repeats": receipt.repeats, "condition": condition} | _deploy_again(delivery)
    if delivery.more_refs:
        body |= _refs(delivery, receipt)
    # Not JSONResponse: it takes twice as long, and in a flood of pushes this is the response to nearly all.
    return Response(msgspec.json.encode(body), 202, media_type="application/json")


def _deploy_again(delivery: Delivery) -> dict[str, Any]:
    commands = [
        f"fraisier deploy {each.fraise_id} {each.environment} --commit {each.commit_sha}"
        for each in delivery.all_requests
    ]
    return {"deploy_again": commands}


def _refs(delivery: Delivery, receipt: Receipt) -> dict[str, Any]:
    """Return what became of each ref, if there are several."""
    if not delivery.more_refs:
        return {}
    ids = iter([each.id for each in receipt.deployments])
    requested = [(delivery.ref, delivery.reasons, delivery.requests)]
    requested += [(each.ref, each.reasons, each.requests) for each in delivery.more_refs]
    return {
        "refs": [
            {"ref": ref, "deployments": list(islice(ids, len(requests))), "reasons": reasons}
            for ref, reasons, requests in requested
        ]
    }
