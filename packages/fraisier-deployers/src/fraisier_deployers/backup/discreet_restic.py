"""Runs restic, and prints its errors without where its repository is, which is a secret as a whole: `python
-I -S discreet_restic.py ARGUMENT ...`. It imports little, because restic is started often.
"""

import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

ABSENT = "there is no repository"
LOCKED = "another process has locked it"
REASONS = {
    "wrong password or no key found": "the password is wrong",
    "repository is already locked": LOCKED,
    "command can be used to remove stale locks": LOCKED,  # the end of the same, if the first line is lost
    "no space left on device": "no space is left on its device",
    "connection refused": "the connection was refused",
    "no such host": "its host is unknown",
    "permission denied": "permission is denied",
    "is there a repository at the following location?": ABSENT,
}
"""What is said of a line, by what stands in it. No repository hides that, whatever it is called."""
_LEAST = 4  # characters of a part of the secret that tells anything
_SCHEMES = {"azure", "http", "https", "local", "rclone", "rest", "sftp", "swift"}
_USER = re.compile(r"(?:^[a-z]+:|//|^)([^/]+@)")
"""Who logs in, perhaps with a password, however short both are."""
_PR_SET_PDEATHSIG = 1


def command(*arguments: str) -> tuple[str, ...]:
    """Return the command that runs restic so, with the repository and the password in the environment."""
    return (sys.executable, "-I", "-S", __file__, *arguments)


def told(repository: str, line: str) -> str:
    """Return a line of restic's without any part of the repository's address, and why it failed if known."""
    why = next((said for pattern, said in REASONS.items() if pattern in line.lower()), None)
    line = line.replace(repository, "***")
    for user in _USER.findall(repository):
        line = line.replace(user, "***@")
    for part in sorted(_parts(repository), key=len, reverse=True):
        line = line.replace(part, "***")
    return f"{line} ({why})" if why else line


def _parts(repository: str) -> Iterator[str]:
    for part in re.split(r"[:@]|//", repository):
        every = (part, part.strip("/"), *part.split("/"))
        yield from (each for each in every if len(each) >= _LEAST and each not in _SCHEMES)


def main(arguments: Sequence[str]) -> int:
    """Run restic, and return an exit status. What it reads and prints beside errors is passed on as it is."""
    repository = os.environ["RESTIC_REPOSITORY"]
    with subprocess.Popen(
        ["restic", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - there are no threads
    ) as process:
        for line in process.stderr or ():
            _say(told(repository, line.rstrip("\n")))
    if process.returncode < 0:
        _say(f"Fatal: restic was killed by signal {-process.returncode}")
        return 128 - process.returncode
    return process.returncode


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - to who runs it


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
