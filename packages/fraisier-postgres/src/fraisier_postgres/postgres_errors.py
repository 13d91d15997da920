"""What psycopg raises, turned into errors of the store."""

from __future__ import annotations

import psycopg
from fraisier_core import StoreError, UnreachableStoreError
from fraisier_core.store.relational.dialect import InterruptedTransactionError, refused
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

_ENDED = ("08", "25P03", "25P04", "57P")
"""What the codes begin with of errors that end a connection: https://www.postgresql.org/docs/current/errcodes-appendix.html"""


class LostConnectionError(UnreachableStoreError, InterruptedTransactionError):
    """PostgreSQL cannot be reached, or was lost: nothing was committed, unless it was just committing."""


class RolledBackError(InterruptedTransactionError):
    """PostgreSQL rolled a transaction back because of another; the same once more may succeed."""


class LockedError(InterruptedTransactionError):
    """PostgreSQL rolled a transaction back because another one held a lock for too long."""


def explanation(error: psycopg.Error, where: str, *, is_lost: bool) -> StoreError:
    """Return the error of the store for one of psycopg's.

    Args:
        error: as it was raised.
        where: the database, as `shown` has it.
        is_lost: whether the connection cannot be used any more.
    """
    message = " ".join((error.diag.message_primary or str(error)).split()).rstrip(".?")
    if isinstance(error, errors.IntegrityError | errors.DataError):
        return refused(message)
    if isinstance(error, errors.DeadlockDetected | errors.SerializationFailure):
        return RolledBackError(f"the store {where}: {message}")
    if isinstance(error, errors.LockNotAvailable):
        return LockedError(f"the store {where}: {message}")
    kind = LostConnectionError if is_lost else StoreError
    return kind(f"the store {where}: {message}. {_advice(error)}".removesuffix(". "))


def ends_connection(error: psycopg.Error) -> bool:
    """Whether a connection cannot be used any more after this error, which is certain before it shows:
    PostgreSQL ends it, or a migration has changed the columns of what was prepared there.
    """
    outdated = error.diag.source_function == "RevalidateCachedQuery"
    return outdated or (error.sqlstate or "").startswith(_ENDED)


def shown(url: str) -> str:
    """Return what of a url is no secret: the host and the name of the database."""
    parts = conninfo_to_dict(url)
    return f"{parts.get('dbname')} on {parts.get('host', 'this host')}"


def _advice(error: psycopg.Error) -> str:
    if isinstance(error, errors.InsufficientPrivilege):
        return "Give the user of database.url the role that it needs"
    if isinstance(error, errors.DiskFull):
        return "Free some space; what was acknowledged is intact"
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return "It is a standby; name the primary server in database.url"
    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn | errors.UndefinedFunction):
        return "Run `fraisier db migrate`"
    if isinstance(error, psycopg.OperationalError) and not isinstance(error, errors.ProgramLimitExceeded):
        return "Check that PostgreSQL runs and that database.url is right"
    return ""
