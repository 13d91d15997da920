"""The body of a push, shaped as GitHub's are: mostly addresses, with object ids and names between them."""

from __future__ import annotations

import json
import secrets
from functools import cache
from typing import Any
from urllib.parse import quote_plus

API = "https://api.forge.example"
FORGE = "https://forge.example"
MARK = "@COMMIT@"
USER_LINKS = (
    "followers following{/other_user} gists{/gist_id} starred{/owner}{/repo} subscriptions orgs repos"
    " events{/privacy} received_events"
)
REPOSITORY_LINKS = (
    "forks keys{/key_id} collaborators{/collaborator} teams hooks issue_events{/number} events"
    " assignees{/user} branches{/branch} tags blobs{/sha} git_tags{/sha} git_refs{/sha} trees{/sha}"
    " statuses/{sha} languages stargazers contributors subscribers subscription commits{/sha}"
    " git_commits{/sha} comments{/number} contents/{+path} compare/{base}...{head} merges"
    " archive{/ref} downloads issues{/number} pulls{/number} milestones{/number}"
    " notifications{?since,all} labels{/name} releases{/id} deployments"
)


@cache
def template() -> tuple[str, str]:
    """Return what comes before and after the commit in a body of about 8 KB."""
    before, _, after = json.dumps(_payload()).partition(MARK)
    return before, after


def push_body(commit: str) -> bytes:
    """Return the body of a push of that commit."""
    before, after = template()
    return f"{before}{commit}{after}".encode()


def large_push_body(commit: str, size: int, form: bool = False) -> bytes:
    """Return the body of a push of that commit, of many commits: at most `size` bytes, and nearly as many.

    Args:
        commit: the commit.
        size: in bytes.
        form: whether it is a form with the field `payload`, or the JSON itself.
    """
    encoded = _form if form else str.encode
    payload = _payload() | {"after": commit}
    each = len(encoded(json.dumps(_commit()) + ", "))
    many = (size - len(encoded(json.dumps(payload)))) // each
    return encoded(json.dumps(payload | {"commits": [_commit() for _ in range(many)]}))


def _form(text: str) -> bytes:
    return b"payload=" + quote_plus(text).encode()


def _payload() -> dict[str, Any]:
    commits = [_commit() for _ in range(3)]
    return {
        "ref": "refs/heads/main",
        "before": secrets.token_hex(20),
        "after": MARK,
        "repository": _repository(),
        "pusher": {"name": "octavia", "email": "octavia@mail.example", "login": "octavia"},
        "sender": _user("octavia"),
        "created": False,
        "deleted": False,
        "forced": False,
        "base_ref": None,
        "compare": f"{FORGE}/acme/my-api/compare/{secrets.token_hex(6)}...{secrets.token_hex(6)}",
        "commits": commits,
        "head_commit": commits[-1],
    }


def _repository() -> dict[str, Any]:
    names = {
        "id": secrets.randbelow(10**9),
        "node_id": secrets.token_urlsafe(12),
        "name": "my-api",
        "full_name": "acme/my-api",
        "private": True,
        "owner": _user("acme"),
        "html_url": f"{FORGE}/acme/my-api",
        "description": "Prices and stock of the warehouses, for the shop and the accounting",
    }
    facts = {
        "created_at": 1_748_779_200,
        "updated_at": "2026-10-31T08:15:42Z",
        "pushed_at": 1_793_433_600,
        "clone_url": f"{FORGE}/acme/my-api.git",
        "ssh_url": "git@forge.example:acme/my-api.git",
        "size": 48_213,
        "language": "Python",
        "has_issues": True,
        "has_wiki": False,
        "archived": False,
        "open_issues_count": 17,
        "license": {
            "key": "mit",
            "name": "MIT License",
            "spdx_id": "MIT",
            "node_id": secrets.token_urlsafe(9),
        },
        "topics": ["warehouse", "prices", "internal"],
        "visibility": "private",
        "default_branch": "main",
    }
    return names | _links(f"{API}/repos/acme/my-api", REPOSITORY_LINKS) | facts


def _user(name: str) -> dict[str, Any]:
    names = {
        "login": name,
        "id": secrets.randbelow(10**8),
        "node_id": secrets.token_urlsafe(12),
        "avatar_url": f"https://avatars.forge.example/u/{secrets.randbelow(10**8)}?v=4",
        "html_url": f"{FORGE}/{name}",
    }
    return names | _links(f"{API}/users/{name}", USER_LINKS) | {"type": "User", "site_admin": False}


def _links(url: str, paths: str) -> dict[str, str]:
    return {f"{path.partition('{')[0].strip('/')}_url": f"{url}/{path}" for path in paths.split()}


def _commit() -> dict[str, Any]:
    person = {"name": "Octavia Ann", "email": "octavia@mail.example", "username": "octavia"}
    commit = secrets.token_hex(20)
    return {
        "id": commit,
        "tree_id": secrets.token_hex(20),
        "distinct": True,
        "message": "Round prices per line, not per order\n\nOrders of more than one line were off by a cent.",
        "timestamp": "2026-10-31T08:15:40+02:00",
        "url": f"{FORGE}/acme/my-api/commit/{commit}",
        "author": person,
        "committer": person,
        "added": ["tests/orders/test_rounding.py"],
        "removed": [],
        "modified": ["src/my_api/orders/totals.py", "src/my_api/prices.py", "CHANGELOG.md"],
    }
