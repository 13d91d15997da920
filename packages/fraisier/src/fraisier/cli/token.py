"""`fraisier token`: who may read and deploy from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from fraisier_core.errors import ConflictError, UnknownNameError

from fraisier.cli.parameters import ConfigFile, Json, argument, command_app
from fraisier.cli.session import Session
from fraisier.terminal import print_json, say, tell

if TYPE_CHECKING:
    from fraisier_core.access.scope import Scope
    from fraisier_core.store.tokens import Token

TITLES = ("NAME", "TOKEN", "SCOPE", "STATUS", "CREATED", "BY", "EXPIRES")
AUDIT_TITLES = ("WHEN", "WHO", "ACTION", "WHAT", "TIMES", "DETAIL")
COLOURS = {"valid": "green", "expired": "yellow", "revoked": "red"}
app = command_app(groups="Make and revoke the tokens of clients, and show what they did.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the record calls its client.")],
    *,
    scope: Annotated[
        str,
        typer.Option(metavar="SCOPE", help="read or deploy; only somewhere as in deploy:FRAISE/ENV."),
    ],
    expires: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="When it expires: after 90d, 12h, or on a date; else never."),
    ] = None,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Make a token, and print it: this once."""
    from fraisier_core.access.issuing import expiry, issue

    session = Session.read(config)
    try:
        allowed = _known(session, scope)
        secret, token = issue(name, allowed, session.user, expiry(expires) if expires is not None else None)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    session.open_store().create_token(token)
    if as_json:
        print_json(_as_json(token) | {"token": secret})
        return
    until = f"until {_time(token.expires_at)}" if token.expires_at else "until it is revoked"
    tell(f'the token "{name}" may {allowed}, {until}; it is shown this once:')
    say(secret)


@app.command("list")
def list_tokens(as_json: Json = False, config: ConfigFile = None) -> None:
    """Show the tokens, without their secrets."""
    from fraisier.cli.tables import print_table

    reader = Session.read(config).reader()
    found = reader.tokens() if reader else []
    if as_json:
        print_json([_as_json(each) for each in found])
    elif found:
        print_table(TITLES, [_row(each) for each in found], ("BY", "CREATED"))
    else:
        tell("there are no tokens: `fraisier token create` makes one")


@app.command()
def revoke(
    token: Annotated[str, argument("TOKEN", "Its name, or how it begins.", "tokens")],
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Revoke a token; from then on it is of no use."""
    session = Session.read(config)
    store = session.existing_store()
    found = _found(store.tokens(), token)
    if not store.revoke_token(found, session.user):
        raise ConflictError(f'the token "{found.name}" ({found.prefix}) is revoked already')
    if as_json:
        print_json({"id": found.id, "name": found.name, "revoked": True})
    else:
        say(f'the token "{found.name}" ({found.prefix}) is revoked')


@app.command()
def audit(
    limit: Annotated[int, typer.Option(metavar="NUMBER", min=1, help="How many.")] = 50,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Show what people and clients did and were refused, newest first."""
    from fraisier.cli.tables import print_table
    from fraisier.cli.times import ago

    reader = Session.read(config).reader()
    found = reader.audit_events(limit) if reader else []
    if as_json:
        print_json([each._asdict() for each in found])
    elif found:
        rows = [
            (ago(each.at), each.actor, each.action, each.subject, str(each.occurrences), each.detail)
            for each in found
        ]
        print_table(AUDIT_TITLES, rows)
    else:
        tell("nothing was requested by hand, and no token was made")


def _known(session: Session, text: str) -> Scope:
    """Return a scope whose fraise and environment are configured. Raises `ValueError`, `UnknownNameError`."""
    from fraisier_core.access.scope import Scope

    scope = Scope.parse(text)
    if scope.fraise is None:
        return scope
    return Scope(
        scope.level,
        scope.fraise,
        session.environment(session.reader(), scope.fraise, scope.environment),
    )


def _found(tokens: list[Token], text: str) -> Token:
    """Return the token of this name that is not revoked, or the one that begins so. Raises
    `UnknownNameError`.
    """
    from fraisier_core.access.issuing import MARK, prefix_of

    named = [each for each in tokens if each.name == text]
    begun = [each for each in tokens if text.startswith(MARK) and each.prefix.startswith(prefix_of(text))]
    found = [each for each in named if each.revoked_at is None] or named[-1:] or begun
    if len(found) == 1:
        return found[0]
    shown = prefix_of(text) if text.startswith(MARK) else text
    problem = f'more than one token begins with "{shown}"' if found else f'there is no token "{shown}"'
    raise UnknownNameError(f"{problem}: `fraisier token list` shows them")


def _status(token: Token) -> str:
    from fraisier_core.access.grants import why_ended
    from fraisier_core.system.host import utc_now

    return why_ended(token, utc_now()) or "valid"


def _row(token: Token) -> Any:
    from fraisier_core.access.grants import scope_of

    from fraisier.cli.tables import Cell
    from fraisier.cli.times import ago

    status = _status(token)
    return (
        token.name,
        f"{token.prefix}...",
        str(scope_of(token)),
        Cell(status, COLOURS[status]),
        ago(token.created_at),
        token.created_by,
        _time(token.expires_at) if token.expires_at else "never",
    )


def _as_json(token: Token) -> dict[str, Any]:
    """Return a token for machines, without its hash."""
    from fraisier_core.access.grants import scope_of

    shown = {name: value for name, value in token._asdict().items() if name != "sha256"}
    return shown | {"scope": str(scope_of(token)), "status": _status(token)}


def _time(at: str) -> str:
    return f"{at[:10]} {at[11:16]} UTC"
