"""From a compiled subscription to what the store is followed for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fraisier_core import Grant, UnknownNameError

from fraisier_graphql.compiling import CompiledDocument
from fraisier_graphql.executing import Executor, parameters_of
from fraisier_graphql.request_errors import of_fraisier
from fraisier_graphql.subscriptions import Listener, Subscription
from fraisier_graphql.topics import TOPICS, Row


async def subscription_of(
    compiled: CompiledDocument, grant: Grant, executor: Executor, listener: Listener
) -> Subscription:
    """Return what a client subscribes to.

    Args:
        compiled: the operation, a subscription.
        grant: what the client may do.
        executor: has compiled it.
        listener: is told.

    Raises `RequestError`, also of a deployment that there is not, or that the client may not read.
    """
    (field,) = compiled.fields
    given = field.arguments(compiled.variables)
    topic_of, position = TOPICS[field.name]
    if "deployment_id" in given:
        await _require_readable(given["deployment_id"], grant, executor)
    topic = topic_of(given)
    statement = field.row(topic.source, topic.key)
    parameters = parameters_of(statement, compiled, grant)
    return Subscription(
        topic, statement.sql, parameters, field.key, _wanted(given, grant), listener, given.get(position)
    )


async def _require_readable(deployment_id: str, grant: Grant, executor: Executor) -> None:
    place = await executor.readers.place_of(deployment_id)
    if place is None or not grant.scope.may_read(*place):
        raise of_fraisier(UnknownNameError(f"there is no deployment {deployment_id!r}"))


def _wanted(given: Mapping[str, Any], grant: Grant) -> Callable[[Row], bool]:
    """Return whether a client wants and may read a row, by its place; one of a deployment that it may read
    has none.
    """
    fraise, environment = given.get("fraise_id"), given.get("environment")

    def wants(row: Row) -> bool:
        if row.fraise_id is None:
            return True
        is_there = fraise in {None, row.fraise_id} and environment in {None, row.environment}
        return is_there and grant.scope.may_read(row.fraise_id, row.environment)

    return wants
