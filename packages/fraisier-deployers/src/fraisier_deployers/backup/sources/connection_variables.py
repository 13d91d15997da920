"""The URL of a PostgreSQL database, as the environment variables that its programs read.

So no part of it is an argument, which everybody on the host can see. Source:
https://www.postgresql.org/docs/current/libpq-connect.html and libpq-envars.html. No message repeats a part of
the URL, which is a secret as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote

SCHEMES = ("postgresql://", "postgres://")
FORM = "postgresql://USER@HOST/DATABASE"
DATABASE = "PGDATABASE"
_DEFAULTS = {"PGCONNECT_TIMEOUT": "10", "PGAPPNAME": "fraisier"}
_VARIABLES = {
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "client_encoding": "PGCLIENTENCODING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "dbname": DATABASE,
    "gssencmode": "PGGSSENCMODE",
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "krbsrvname": "PGKRBSRVNAME",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "password": "PGPASSWORD",
    "port": "PGPORT",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "service": "PGSERVICE",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "sslcert": "PGSSLCERT",
    "sslcrl": "PGSSLCRL",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "sslsni": "PGSSLSNI",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "user": "PGUSER",
}


def connection_variables(url: str) -> dict[str, str]:
    """Return the variables that connect to what a URL names. Raises `ValueError` with what is wrong."""
    scheme = next((each for each in SCHEMES if url.startswith(each)), None)
    if scheme is None:
        raise ValueError(f"should be a URL such as {FORM}")
    address, _, query = url.removeprefix(scheme).partition("?")
    authority, _, database = address.partition("/")
    userinfo, at, hosts = authority.rpartition("@")
    user, _, password = userinfo.partition(":") if at else ("", "", "")
    names, ports = _hosts(hosts)
    given = {"user": user, "password": password, "host": names, "port": ports, "dbname": database}
    keywords = {key: unquote(value) for key, value in given.items() if value} | _parameters(query)
    values = {_VARIABLES[keyword]: value for keyword, value in keywords.items()}
    if not all(value.isprintable() for value in values.values()):
        raise ValueError("must be printable")
    return _DEFAULTS | values


def with_database(variables: Mapping[str, str], database: str) -> dict[str, str]:
    """Return the variables that connect to another database of the same server."""
    return {**variables, DATABASE: database}


def _parameters(query: str) -> dict[str, str]:
    try:
        found = dict(parse_qsl(query, strict_parsing=True, keep_blank_values=True)) if query else {}
    except ValueError:
        raise ValueError("has a parameter without a value after the ?") from None
    if any(key not in _VARIABLES for key in found):
        raise ValueError(f"may have after the ? only {', '.join(_VARIABLES)}")
    return found


def _hosts(hosts: str) -> tuple[str, str]:
    """Return the hosts and the ports, each list separated by commas, as the variables have them."""
    pairs = [_host(each) for each in hosts.split(",")]
    ports = [port for _, port in pairs]
    return ",".join(host for host, _ in pairs), ",".join(ports) if any(ports) else ""


def _host(written: str) -> tuple[str, str]:
    if written.startswith("["):
        host, closing, rest = written[1:].partition("]")
        if not closing or (rest and not rest.startswith(":")):
            raise ValueError("has an IPv6 address that is not closed by ]")
        port = rest[1:]
    else:
        host, _, port = written.partition(":")
    if port and not port.isdecimal():
        raise ValueError("has a port that is no number; write / @ : ? # in a password as %2F %40 %3A %3F %23")
    return host, port
