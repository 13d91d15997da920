"""From a real `git push` to the commit status at the forge: a worker, its observers, and an API of a forge.

A provider's tests subclass `StatusesEndToEnd`; they need no more than `EndToEnd` does.
"""

from __future__ import annotations

from pathlib import Path

from fraisier_core.testing import ApiRequest, ApiResponse, ApiServer, TakenStatus

from tests.end_to_end import TOKEN, EndToEnd, Host, Repository, accepted
from tests.forge_apis import Take
from tests.waiting import wait_until

TURNS = ("waiting to be deployed", "being deployed", "deployed")


class StatusesEndToEnd:
    """Base of a provider's test: subclass it, and say how the forge takes a status.

    Args:
        pushes: how the forge tells of a push.
        api_path: how the address of its API ends.
        states: what it calls `pending`, `running` and `success`.
    """

    pushes: EndToEnd
    api_path: str
    states: tuple[str, str, str] = ("pending", "pending", "success")

    def take(self, request: ApiRequest, token: str) -> TakenStatus | ApiResponse:
        """Answer a request as the forge does."""
        raise NotImplementedError

    def test_a_push_is_pending_then_running_then_a_success_at_the_forge(self, tmp_path: Path) -> None:
        repository, api = Repository(tmp_path / "forge"), StatusServer(self.take)
        with api.server:
            address = f"{api.server.url}{self.api_path}"
            host = Host(
                tmp_path / "host",
                repository.forge.url,
                self.pushes.provider,
                self.pushes.secret,
                address,
            )
            with host.webhook() as webhook:
                wait_until(lambda: "told of events" in host.log.read_text(), host.log.read_text)
                repository.commit("first")
                pushed = repository.push("HEAD:refs/heads/main", "refs/heads/main")
                hooks = self.pushes.hooks(pushed, self.pushes.secret)
                assert accepted(hook.deliver(webhook) for hook in hooks) == 1
                api.wait_for(pushed.commit, "deployed in", host)
        told = api.of(pushed.commit)  # though the worker has nothing else to do, and claims it at once
        assert tuple(each.state for each in told) == self.states
        assert tuple(each.description.partition(" in ")[0] for each in told) == TURNS
        assert {each.context for each in told} == {"fraisier/my_api/production"}
        written = [path.read_bytes() for path in host.folder.rglob("*") if path.is_file()]
        assert not any(TOKEN.encode() in content for content in written)


class StatusServer:
    """The API of a forge, and the commit statuses that it took."""

    def __init__(self, take: Take) -> None:
        self.server = ApiServer(self._answer)
        self._take = take
        self._taken: list[TakenStatus] = []

    def of(self, commit: str) -> list[TakenStatus]:
        """Return the statuses of a commit, in their order."""
        return [each for each in self._taken if each.commit == commit]

    def wait_for(self, commit: str, description: str, host: Host) -> None:
        """Wait until a commit has a status with a description that begins so."""

        def is_told() -> bool:
            return any(each.description.startswith(description) for each in self.of(commit))

        wait_until(is_told, lambda: f"{self._taken}\n{host.log.read_text()}")

    def _answer(self, request: ApiRequest) -> ApiResponse:
        found = self._take(request, TOKEN)
        if isinstance(found, ApiResponse):
            return found
        self._taken.append(found)
        return ApiResponse(201, {})
