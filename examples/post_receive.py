#!/usr/bin/env python3
"""Tells Fraisier what was pushed to a bare repository, with deliveries signed as GitHub signs its own.

Copy it to `hooks/post-receive` of the repository, executable, and say where Fraisier listens:

    git config fraisier.url http://127.0.0.1:8080/webhook
    git config fraisier.secretFile /path/to/secret
"""

from __future__ import annotations

import getpass
import hmac
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

UNKNOWN = "Fraisier does not know of this push: `fraisier deploy` deploys it"
TRIES = 3
LONGEST_PAUSE_SECONDS = 5


def git(*arguments: str) -> str:
    """Return what git prints, an empty string if it fails."""
    done = subprocess.run(["git", *arguments], stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout.strip()


def payload(before: str, after: str, ref: str) -> bytes:
    """Return the body of a push event."""
    repository = Path(git("rev-parse", "--absolute-git-dir"))
    commit = git("rev-parse", "--quiet", "--verify", f"{after}^{{commit}}") if after.strip("0") else ""
    url = repository.as_uri()
    event = {
        "ref": ref,
        "before": before,
        "after": after,
        "head_commit": {"id": commit} if commit else None,
        "repository": {"full_name": f"local/{repository.stem}", "clone_url": url, "ssh_url": url},
        "pusher": {"name": getpass.getuser()},
    }
    return json.dumps(event).encode()


def deliver(body: bytes) -> str:
    """Deliver an event and return the response, or why there is none."""
    file, url = git("config", "fraisier.secretFile"), git("config", "fraisier.url")
    if not file:
        return "not delivered: fraisier.secretFile is not set"
    try:
        secret = Path(file).read_text().strip()
    except OSError as error:
        return f"not delivered: fraisier.secretFile is '{file}': {error.strerror}"
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}",
    }
    return sent(urllib.request.Request(url, body, headers))


def sent(request: urllib.request.Request, tries: int = TRIES) -> str:
    """Send a request, again if Fraisier asks for that, and return the response, or why there is none."""
    url = request.full_url
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return f"{answer.status} {accepted(json.load(answer))}"
    except urllib.error.HTTPError as error:
        pause = error.headers.get("Retry-After", "")
        if tries == 1 or not pause.isdecimal():
            return f"{error.code} {refused(error.read().decode())}"
    except urllib.error.URLError as error:
        return f"not reached: {url}: {error.reason}; {UNKNOWN}"
    except OSError as error:
        return f"not reached: {url}: {error}; {UNKNOWN}"
    time.sleep(min(int(pause), LONGEST_PAUSE_SECONDS))
    return sent(request, tries - 1)


def accepted(answer: dict[str, Any]) -> str:
    """Return the status of a response, its deployments, how to follow them, and its condition or reasons."""
    deployments = [
        f"{each['fraise']} {each['environment']}, follow it with: {each['follow']}"
        for each in answer.get("deployments", [])
    ]
    conditions = [answer["condition"]] if "condition" in answer else []
    details = "; ".join([*deployments, *conditions, *answer.get("reasons", [])])
    return f"{answer['status']}: {details}" if details else str(answer["status"])


def refused(answer: str) -> str:
    """Return the error of a refusal; the body of one that is not from Fraisier is returned unchanged."""
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, LookupError, TypeError):
        return answer.strip()


if __name__ == "__main__":
    for line in sys.stdin:
        before, after, ref = line.split()
        sys.stdout.write(f"fraisier: {deliver(payload(before, after, ref))}\n")
