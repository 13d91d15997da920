"""`fraisier webhooks`: what came in, and what became of it."""

from __future__ import annotations

from typing import Annotated

import typer
from fraisier_core.requests.holding import holds_of

from fraisier.cli.parameters import AnyProvider, ConfigFile, DeliveryId, Json, argument, command_app
from fraisier.cli.session import ActingSession, Session
from fraisier.terminal import print_json, tell

DELIVERY_OR_PUSH = "DELIVERY | REPOSITORY REF [COMMIT]"
Explained = Annotated[
    list[str], argument(DELIVERY_OR_PUSH, "A part of a delivery's id; with --push, a push.", "deliveries")
]
app = command_app(groups="Show what forges delivered, and explain what became of it.")


@app.command("list")
def list_deliveries(
    limit: Annotated[int, typer.Option(metavar="NUMBER", min=1, help="How many.")] = 20,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Show the deliveries with their verdicts, newest first."""
    from fraisier.cli.deliveries import delivery_as_json, print_deliveries

    reader = Session.read(config).reader()
    found = reader.details(reader.deliveries(limit)) if reader else []
    holds = holds_of((each for details in found for each in details.deployments), reader)
    if as_json:
        print_json([delivery_as_json(each, holds) for each in found])
    elif found:
        print_deliveries(found, holds)
    else:
        tell("nothing was ever delivered")


@app.command()
def show(delivery: DeliveryId, as_json: Json = False, config: ConfigFile = None) -> None:
    """Show a delivery, its refs, and the deployments that it requested."""
    from fraisier.cli.deliveries import delivery_as_json, print_delivery

    reader, delivery_id = Session.read(config).found_delivery(delivery)
    found = reader.delivery(delivery_id)
    holds = holds_of(found.deployments, reader)
    if as_json:
        print_json(delivery_as_json(found, holds))
    else:
        print_delivery(found, holds)


@app.command()
def explain(
    what: Explained,
    push: Annotated[
        bool, typer.Option("--push", help="Explain a push: its repository, its ref and perhaps its commit.")
    ] = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Explain why a delivery, or any push, deploys or does not."""
    from fraisier.cli.explaining import explain_one, explain_pushed
    from fraisier.cli.explanations import explanation_as_json, print_explanation

    title, explanation = (explain_pushed if push else explain_one)(config, what)
    if as_json:
        print_json(explanation_as_json(explanation))
    else:
        print_explanation(explanation, title)


@app.command()
def replay(
    delivery: DeliveryId,
    *,
    deploy: Annotated[bool, typer.Option("--deploy", help="Request what it would request now.")] = False,
    older: Annotated[
        bool, typer.Option("--older", help="Also if another commit of its ref came later.")
    ] = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Route a delivery again, and show what it would request now."""
    from fraisier.cli.replaying import replay_delivery

    raise typer.Exit(replay_delivery(ActingSession(config), delivery, deploy, older, as_json=as_json))


@app.command("test")
def send(
    provider: AnyProvider = None,
    url: Annotated[
        str, typer.Option(metavar="URL", help="Where the server is reached.")
    ] = "http://127.0.0.1:8080",
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Send deliveries that deploy nothing, and check each step."""
    from fraisier.cli.sample import send_samples

    session = ActingSession(config, parts={"git"}, needs=[["git"]])
    raise typer.Exit(send_samples(session, provider, url, as_json=as_json))
