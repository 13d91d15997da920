"""Asking a Fraisier on another machine, and saying what keeps it from answering."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Mapping
from http.client import HTTPException
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from fraisier_core import errors
from fraisier_core.errors import FraisierError, RemoteError, UnreachableServerError

from fraisier.remote.remote_place import RemotePlace

SECONDS = 30.0
LONGEST_ANSWER = 100_000_000
NO_WORKER = "no worker is alive"
OF_TOKENS = {"FORBIDDEN", "UNAUTHENTICATED"}
NONE: Mapping[str, str] = {}


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none: the token is for the host that was named."""


class RemoteEndpoint:
    """Answers documents by HTTP."""

    def __init__(self, place: RemotePlace) -> None:
        self.place = place
        self._token = place.token()
        self._open = build_opener(_NoRedirects, HTTPSHandler(context=ssl.create_default_context())).open

    def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        """Return the `data` that answers a document.

        Raises what the other side refused with, `UnreachableServerError`, or another `RemoteError`.
        """
        body = json.dumps({"query": document, "variables": variables}).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "fraisier"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        status, text = self._sent("/graphql", body, headers)
        answer = _parsed(text)
        if status in {401, 403}:
            raise self._refused(status, answer)
        if answer.get("errors"):
            raise self._error(answer["errors"][0])
        data = answer.get("data")
        if status != 200 or not isinstance(data, dict):
            raise self._strange(status)
        return data

    def has_worker(self) -> bool:
        """Whether a worker says that it lives."""
        _, text = self._sent("/readyz")
        return NO_WORKER not in (_parsed(text).get("problems") or ())

    def _sent(
        self, path: str, body: bytes | None = None, headers: Mapping[str, str] = NONE
    ) -> tuple[int, bytes]:
        """Return the status and the body of the answer to a request: a POST if it has a body."""
        request = Request(f"{self.place.url}{path}", body, {**headers})  # noqa: S310 - https, or http
        try:
            with self._open(request, timeout=SECONDS) as response:
                return response.status, _read(response)
        except HTTPError as error:
            with error:
                return error.code, _read(error)
        except (OSError, HTTPException) as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: OSError | HTTPException) -> RemoteError:
        reason = error.reason if isinstance(error, URLError) else error
        where = self.place.url
        if isinstance(reason, ssl.SSLCertVerificationError):
            advice = "if its own authority signed it, set SSL_CERT_FILE to that authority's certificate"
            return RemoteError(f"{where}: its certificate is refused: {reason.verify_message}; {advice}")
        if isinstance(reason, ssl.SSLError):
            return RemoteError(f"{where}: TLS fails ({reason.reason or reason}); is this the port for https?")
        if isinstance(reason, socket.gaierror):
            return UnreachableServerError(f"{where}: its name is not found ({reason.strerror}); check --url")
        if isinstance(reason, TimeoutError):
            return UnreachableServerError(f"{where}: no answer within {SECONDS:.0f} s; try again")
        text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        return UnreachableServerError(
            f"{where}: cannot be reached: {text}; does `fraisier-webhook` run there?"
        )

    def _refused(self, status: int, answer: Mapping[str, Any]) -> FraisierError:
        """Return what is wrong with the token, or with what it is used for."""
        if status == 403 and answer.get("errors"):
            return self._error(answer["errors"][0])
        where = self.place.url
        if self._token is None:
            make = "`fraisier token create` on the host makes one"
            return RemoteError(f"{where}: it wants a token; name its file with --token-file; {make}")
        what = f"the token in {self.place.token_file} is not accepted"
        return RemoteError(f"{where}: {what}: it was revoked, has expired, or is another host's")

    def _error(self, error: Mapping[str, Any]) -> FraisierError:
        """Return an error of the other side as the one that the command raises on the host."""
        message = str(error.get("message") or "an error without a message")
        code = str(error.get("code"))
        name = None if code in OF_TOKENS else (error.get("extensions") or {}).get("error")
        kind = getattr(errors, name, None) if isinstance(name, str) else None
        if isinstance(kind, type) and issubclass(kind, errors.ConfigurationError):
            return kind(message.splitlines())
        if isinstance(kind, type) and issubclass(kind, FraisierError):
            return kind(message)
        return RemoteError(f"{self.place.url}: {message}{self._advice(code)}")

    def _advice(self, code: str) -> str:
        if "VALIDATION" in code or "PARSE" in code:
            return "; install the same version of Fraisier on both machines"
        if code in OF_TOKENS:
            return f"; the token in {self.place.token_file} is not for this" if self._token else ""
        return ""

    def _strange(self, status: int) -> RemoteError:
        where = f"{self.place.url}/graphql"
        if 300 <= status < 400:
            return RemoteError(f"{where}: redirects elsewhere ({status}); give the address that it leads to")
        if status in {429, 502, 503, 504}:
            return UnreachableServerError(f"{where}: is not available now ({status}); try again")
        advice = (
            "name a Fraisier whose fraises.yaml has `graphql:`, and whose proxy forwards /graphql and /ws"
        )
        return RemoteError(f"{where}: no Fraisier answers there ({status}); {advice}")


def _read(response: IO[bytes]) -> bytes:
    return response.read(LONGEST_ANSWER)


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
