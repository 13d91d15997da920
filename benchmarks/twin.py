"""The twin: what a webhook receiver costs that verifies and parses, and stores nothing. Port as argument."""

from __future__ import annotations

import hmac
import json
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.installation import SECRET


async def receive(request: Request) -> JSONResponse:
    body = await request.body()
    expected = "sha256=" + hmac.new(SECRET.encode(), body, "sha256").hexdigest()
    if not hmac.compare_digest(expected, request.headers.get("x-hub-signature-256", "")):
        return JSONResponse({"error": "not verified"}, 401)
    json.loads(body)
    return JSONResponse({"status": "accepted"}, 202)


def main() -> None:
    app = Starlette(routes=[Route("/webhook", receive, methods=["POST"])])
    uvicorn.run(
        app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, server_header=False
    )


if __name__ == "__main__":
    main()
