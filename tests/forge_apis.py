"""What the APIs of forges answer to a commit status, as their documentation says. Each knows one repository,
`acme/my-api`, and takes the statuses of any commit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import unquote

from fraisier_core.testing import ApiRequest, ApiResponse, TakenStatus

Taken = TakenStatus | ApiResponse
Take = Callable[[ApiRequest, str], Taken]
SHA = "(?P<commit>[0-9a-f]{40}|[0-9a-f]{64})"


def take_github(request: ApiRequest, token: str) -> Taken:
    """https://docs.github.com/en/rest/commits/statuses#create-a-commit-status"""
    if not request.headers.get("user-agent"):
        return ApiResponse(403, {"message": "Request forbidden by administrative rules."})
    if request.headers.get("authorization") != f"Bearer {token}":
        return ApiResponse(401, {"message": "Bad credentials", "status": "401"})
    commit = commit_at(request, rf"/api/v3/repos/acme/my-api/statuses/{SHA}")
    if commit is None:
        return ApiResponse(404, {"message": "Not Found", "status": "404"})
    body = request.json()
    if problem := problem_of(body, ("error", "failure", "pending", "success"), context=255, description=140):
        errors = [{"resource": "Status", "code": "custom", "message": problem}]
        return ApiResponse(422, {"message": "Validation Failed", "errors": errors})
    return TakenStatus(body["state"], body["context"], commit, body["description"], body.get("target_url"))


class GitLab:
    """https://docs.gitlab.com/api/commits/#set-commit-pipeline-status; a commit that has the state `pending`
    or `running` cannot get it again, and what runs is not pending any more.
    """

    def __init__(self) -> None:
        self.states: dict[tuple[str, str], str] = {}

    def take(self, request: ApiRequest, token: str) -> Taken:
        if request.headers.get("private-token") != token:
            return ApiResponse(401, {"message": "401 Unauthorized"})
        commit = commit_at(request, rf"/api/v4/projects/acme%2Fmy-api/statuses/{SHA}")
        if commit is None:
            return ApiResponse(404, {"message": "404 Project Not Found"})
        body = request.json()
        states = ("pending", "running", "success", "failed", "canceled", "skipped")
        if problem := problem_of(body, states, name=255, description=255):
            return ApiResponse(400, {"message": {"description": [problem]}})
        if len(body.get("target_url") or "") > 255:
            return ApiResponse(400, {"message": {"target_url": ["is too long (maximum is 255 characters)"]}})
        key, state = (commit, body["name"]), body["state"]
        known = self.states.get(key)
        if state in {"pending", "running"} and known in {state, "running"}:
            event = {"pending": "enqueue", "running": "run"}[state]
            why = f'Reason(s): Status cannot transition via "{event}"'
            return ApiResponse(
                400, {"message": f"Cannot transition status via :{event} from :{known} ({why})"}
            )
        self.states[key] = state
        return TakenStatus(state, body["name"], commit, body["description"], body.get("target_url"))


def take_gitea(request: ApiRequest, token: str) -> Taken:
    """https://docs.gitea.com/api/#tag/repository/operation/repoCreateStatus"""
    if request.headers.get("authorization") != f"token {token}":
        return ApiResponse(401, {"message": "invalid username, password or token"})
    commit = commit_at(request, rf"/api/v1/repos/acme/my-api/statuses/{SHA}")
    if commit is None:
        return ApiResponse(404, {"message": "The target couldn't be found.", "errors": None})
    body = request.json()
    if problem := problem_of(body, ("pending", "success", "error", "failure", "warning"), context=1000):
        return ApiResponse(422, {"message": problem})
    return TakenStatus(body["state"], body["context"], commit, body["description"], body.get("target_url"))


def take_bitbucket_cloud(request: ApiRequest, token: str) -> Taken:
    """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commit-statuses/"""
    if request.headers.get("authorization") != f"Bearer {token}":
        return ApiResponse(401, error("Token is invalid, expired, or not supported for this endpoint."))
    commit = commit_at(request, rf"/2\.0/repositories/acme/my-api/commit/{SHA}/statuses/build")
    if commit is None:
        return ApiResponse(404, error("Repository not found"))
    body = request.json()
    states = ("SUCCESSFUL", "FAILED", "INPROGRESS", "STOPPED")
    if problem := problem_of(body, states, key=40, name=255, description=255, url=512):
        return ApiResponse(400, error(problem))
    return TakenStatus(body["state"], body["key"], commit, body["description"], body["url"])


def take_bitbucket_data_center(request: ApiRequest, token: str) -> Taken:
    """https://developer.atlassian.com/server/bitbucket/how-tos/updating-build-status-for-commits/"""
    if request.headers.get("authorization") != f"Bearer {token}":
        return ApiResponse(401, errors("Authentication failed. Please check your credentials and try again."))
    commit = commit_at(request, rf"/rest/api/latest/projects/acme/repos/my-api/commits/{SHA}/builds")
    if commit is None:
        return ApiResponse(404, errors("Repository acme/secret-api does not exist."))
    body = request.json()
    states = ("SUCCESSFUL", "FAILED", "INPROGRESS", "CANCELLED", "UNKNOWN")
    if problem := problem_of(body, states, key=255, name=255, description=255, url=450):
        return ApiResponse(400, errors(problem))
    return TakenStatus(body["state"], body["key"], commit, body["description"], body["url"])


def error(message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"message": message}}


def errors(message: str) -> dict[str, Any]:
    return {"errors": [{"context": None, "message": message, "exceptionName": None}]}


def commit_at(request: ApiRequest, path: str) -> str | None:
    """Return the commit in the path of a request, None if that is of nothing that is there."""
    found = re.fullmatch(path, request.path) if request.method == "POST" else None
    return found and unquote(found["commit"])


def problem_of(body: Any, states: Collection[str], **lengths: int) -> str | None:
    """Return what is wrong with a body: each text must be there, and not be too long."""
    if not isinstance(body, dict):
        return "the body is no JSON object"
    if body.get("state") not in states:
        return "state is not included in the list"
    for key, length in lengths.items():
        text = body.get(key)
        if not isinstance(text, str) or not text:
            return f"{key} is missing"
        if len(text) > length:
            return f"{key} is too long (maximum is {length} characters)"
    return None
