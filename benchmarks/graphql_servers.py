"""What the GraphQL API is compared with: the same question, answered by other means over the same store.

`python -m benchmarks.graphql_servers bare|strawberry DATABASE` listens on a free port and prints its URL.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import sys

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

COLUMNS = ("id", "fraise_id", "environment", "status", "started_at", "completed_at")
SQL = f"SELECT {', '.join(COLUMNS)} FROM v_deployment_history ORDER BY sequence DESC LIMIT ?"


def bare(database: str) -> ASGIApp:
    """Return one route that runs the SQL, and dumps what that returns."""
    from starlette.applications import Starlette

    connection = sqlite3.connect(database, check_same_thread=False)

    async def newest(request: Request) -> Response:
        limit = (await request.json())["variables"]["limit"]
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in connection.execute(SQL, (limit,))]
        return Response(json.dumps({"data": {"deploymentHistory": rows}}), media_type="application/json")

    return Starlette(routes=[Route("/graphql", newest, methods=["POST"])])


def strawberry(database: str) -> ASGIApp:
    """Return the same fields as a schema of Strawberry."""
    from starlette.applications import Starlette

    from benchmarks.graphql_strawberry import app_over

    connection = sqlite3.connect(database, check_same_thread=False)
    app = app_over(lambda limit: connection.execute(SQL, (limit,)))
    return Starlette(routes=[Route("/graphql", app, methods=["POST"])])


def main() -> None:
    """Serve."""
    kind, database = sys.argv[1:]
    app = {"bare": bare, "strawberry": strawberry}[kind](database)
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    settings = uvicorn.Config(
        app, loop="uvloop", ws="none", access_log=False, log_level="error", lifespan="off"
    )
    uvicorn.Server(settings).run(sockets=[listener])


if __name__ == "__main__":
    main()
