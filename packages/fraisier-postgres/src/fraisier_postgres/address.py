"""What `database.url` says: a connection URI of PostgreSQL, checked before anything is connected.

Source: https://www.postgresql.org/docs/current/libpq-connect.html. No message repeats a part of the url that
could be a piece of the password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from urllib.parse import quote

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

Parameters = Mapping[str, str]

SCHEME = "postgresql://"
FORM = "postgresql://USER@HOST/DATABASE"
_CHOICES = {
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
_FILES = ("passfile", "sslcert", "sslcrl", "sslcrldir", "sslkey", "sslrootcert")
_IN_AUTHORITY = {"user", "password", "host", "port", "dbname"}
_QUOTED = re.compile(r'".*"', re.DOTALL)
_ENCODE = "percent-encode what is special in the user and the password: @ is %40, / %2F, : %3A, a space %20"


def resolved(url: str, folder: Path) -> str:
    """Return a url with absolute paths, in which everything special is percent-encoded.

    Args:
        url: as it is written.
        folder: what the paths of files are relative to.

    Raises `ValueError` with what is wrong.
    """
    parameters = _parsed(url)
    _check(parameters)
    files = {name: value for name, value in parameters.items() if name in _FILES and value != "system"}
    return _written({**parameters, **{name: str(folder / value) for name, value in files.items()}})


def _parsed(url: str) -> dict[str, str]:
    if not url.startswith(SCHEME):
        raise ValueError(f"is no URL of PostgreSQL; write {FORM}")
    authority, _, path = url.removeprefix(SCHEME).partition("?")[0].partition("/")
    if authority.count("@") > 1 or "@" in path or re.search(r"\s", url):
        raise ValueError(f"has a special character where none can be; {_ENCODE}")
    try:
        found = conninfo_to_dict(url)
    except ProgrammingError as error:
        problem = _QUOTED.sub("***", str(error).strip())
        raise ValueError(f"is no URL of PostgreSQL: {problem}; {_ENCODE}") from None
    return {name: str(value) for name, value in found.items() if value is not None}


def _check(parameters: Parameters) -> None:
    if not parameters.get("dbname"):
        raise ValueError(f"names no database; write {FORM}")
    for name, choices in _CHOICES.items():
        if parameters.get(name, choices[0]) not in choices:
            raise ValueError(f"{name} should be one of: {', '.join(choices)}")
    if not re.fullmatch(r"-?\d*", parameters.get("connect_timeout", "")):
        raise ValueError("connect_timeout should be a number of seconds")
    _check_ports(parameters)


def _check_ports(parameters: Parameters) -> None:
    hosts = (parameters.get("host") or parameters.get("hostaddr", "")).split(",")
    ports = parameters.get("port", "").split(",")
    if not all(re.fullmatch(r"[0-9]{0,5}", port) and 0 < int(port or "1") < 65536 for port in ports):
        raise ValueError(f"a port should be a number from 1 to 65535; {_ENCODE}")
    if len(ports) not in {1, len(hosts)}:
        raise ValueError(f"{len(hosts)} hosts have {len(ports)} ports; write HOST:PORT,HOST:PORT")


def _written(parameters: Parameters) -> str:
    user = _quoted(parameters.get("user", ""))
    if "password" in parameters:
        user += f":{_quoted(parameters['password'])}"
    rest = [f"{name}={_quoted(value)}" for name, value in parameters.items() if name not in _IN_AUTHORITY]
    query = f"?{'&'.join(rest)}" if rest else ""
    return f"{SCHEME}{user}{'@' if user else ''}{_hosts(parameters)}/{_quoted(parameters['dbname'])}{query}"


def _hosts(parameters: Parameters) -> str:
    hosts, ports = (parameters.get(name, "").split(",") for name in ("host", "port"))
    pairs = zip_longest(hosts, ports, fillvalue=ports[0] if len(ports) == 1 else "")
    return ",".join(f"{_host(host)}{':' if port else ''}{port}" for host, port in pairs)


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith(("/", "@")) else _quoted(host)


def _quoted(text: str) -> str:
    return quote(text, safe="")
