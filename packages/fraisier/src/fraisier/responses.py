"""Errors as HTTP responses: every one is JSON."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

RETRY_SECONDS = "10"


def unavailable(error: str) -> HTTPException:
    """Return the error for what may succeed later."""
    return HTTPException(503, error, {"retry-after": RETRY_SECONDS})


def too_many(error: str, seconds: int) -> HTTPException:
    """Return the error for a client that should wait for some seconds."""
    return HTTPException(429, error, {"retry-after": str(seconds)})


def error_response(error: HTTPException) -> JSONResponse:
    """Return the response to a request that fails."""
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def handle_error(_request: Request, error: Exception) -> JSONResponse:
    """Respond for Starlette to an error of a route; what is no `HTTPException` is a bug."""
    return error_response(error if isinstance(error, HTTPException) else HTTPException(500))
