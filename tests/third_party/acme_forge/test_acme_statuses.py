"""Test the observer `acme_statuses`."""

import acme_statuses
from fraisier_core.testing import ApiRequest, ApiResponse, StatusConformance, TakenStatus


class TestAcmeStatuses(StatusConformance):
    """What every observer that sets commit statuses must do."""

    plugin = acme_statuses
    api_path = "/api"

    def take(self, request: ApiRequest, token: str) -> TakenStatus | ApiResponse:
        """Answer as the forge does."""
        if request.headers.get("x-acme-token") != token:
            return ApiResponse(401, {"message": "unknown token"})
        if not request.path.startswith("/api/acme/my-api/commits/"):
            return ApiResponse(404)
        body, commit = request.json(), request.path.rpartition("/")[2]
        if len(body["name"]) > 255 or len(body["text"]) > 255:
            return ApiResponse(422, {"message": "too long"})
        return TakenStatus(body["state"], body["name"], commit, body["text"], body["link"])
