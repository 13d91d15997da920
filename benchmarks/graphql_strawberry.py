"""The newest deployments as a schema of Strawberry, which remembers what it has parsed and validated."""

# Strawberry reads annotations when the module is loaded, so they are no text here.
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import strawberry
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache

Select = Callable[[int], Iterable[tuple[Any, ...]]]


@strawberry.enum
class DeploymentStatus(Enum):
    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    SUPERSEDED = "superseded"
    SKIPPED = "skipped"


@strawberry.type
class Deployment:
    id: strawberry.ID
    fraise_id: str
    environment: str
    status: DeploymentStatus
    started_at: str | None
    completed_at: str | None


def app_over(select: Select) -> Any:
    """Return the ASGI app.

    Args:
        select: returns the rows of so many deployments, their columns as `Deployment` has them.
    """

    @strawberry.type
    class Query:
        @strawberry.field
        def deployment_history(self, limit: int = 50) -> list[Deployment]:
            return [
                Deployment(
                    id=row[0],
                    fraise_id=row[1],
                    environment=row[2],
                    status=DeploymentStatus(row[3]),
                    started_at=row[4],
                    completed_at=row[5],
                )
                for row in select(limit)
            ]

    return GraphQL(strawberry.Schema(Query, extensions=[ParserCache, ValidationCache]))
