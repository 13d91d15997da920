"""What git's words mean: the reason comes first, and the side that is at fault is named."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fraisier_core.text.printable import printable

_PROGRESS = re.compile(
    r"(?:remote: )?(?:Enumerating|Counting|Compressing|Receiving|Resolving|Unpacking|Updating|Filtering|Total"
    r"|Checking|Downloading|POST git-upload-pack)\b.*"
    r"|From .*|\s[ +*t!=-] .*->.*|warning: redirecting to .*|Warning: Permanently added .*|hint: .*"
)
_NAMES = re.compile(r"\S+://[^\s']+|'/[^']*'")  # addresses and paths, which may hold any words
_EMPTY_WORDS = (
    "fatal: Could not read from remote repository",
    "fatal: could not fetch",
    "Please make sure you have the correct access rights",
    "and the repository exists",
    "To add an exception for this directory, call",
    "git config --global --add safe.directory",
)
_COMPLAINT = re.compile(r"(?:remote: )?(?:fatal|error|ERROR|batch response|ssh)\b", re.IGNORECASE)
DAMAGE = re.compile(
    r"^(?:error|fatal): .*"
    r"(?:packfile|loose object|bad object|corrupt|missing (?:blob|tree|commit)|necessary objects|inflate:"
    r"|unable to (?:read sha1 file|unpack|read tree))",
    re.MULTILINE,
)
_REMOTE_ERROR = "fatal: remote error: "
OTHER_FORMAT = re.compile(r"^fatal: mismatched algorithms: ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Cause:
    """What words of git's show it, a pattern; which side is at fault, and what to do about it."""

    words: str
    side: str
    advice: str


_SERVER, _FORGE, _REPOSITORY = "this server", "the forge", "the repository"
_DAMAGED = _Cause(
    r"bad object|corrupt|not our ref|missing (?:blob|tree|commit|object)|necessary objects|packfile"
    r"|loose object|valid object|pack-objects died|unable to read|broken|bad tree|inflate",
    _REPOSITORY,
    "it is damaged: run `git fsck` where it lies",
)
_CAUSES = (
    _Cause(
        r"remote missing object|Object does not exist on the server",
        _REPOSITORY,
        "its Git LFS lacks a file: run `git lfs push --all` where it is, or set `lfs: false`",
    ),
    _Cause(
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        _SERVER,
        "it does not know this host key: compare what `{keyscan}` prints with what the forge publishes, then "
        "`{keyscan} >> ~/.ssh/known_hosts` as the user that runs Fraisier, or put it into `known_hosts:`",
    ),
    _Cause(
        r"shallow",
        _REPOSITORY,
        "it is shallow, a part of its history is missing: run `git fetch --unshallow` in it, or name the "
        "complete one in `repository:`",
    ),
    _Cause(r"No space left|Disk quota exceeded", _SERVER, "its disk is full: free some space"),
    _Cause(r"Read-only file system", _SERVER, "its disk is read-only"),
    _Cause(
        r"insufficient permission|unable to (?:create|write|append|mkdir)|cannot (?:open|lock|mkdir)\b",
        _SERVER,
        "the user that runs Fraisier may not write to its folder of mirrors",
    ),
    _Cause(
        r"certificate|SSL|CAfile|CApath|TLS",
        _SERVER,
        "it does not trust the certificate: name the authority's in `ca_file:`",
    ),
    _Cause(
        r"proxy|CONNECT tunnel",
        _SERVER,
        "it does not get through its proxy: check `proxy:`, or http_proxy, https_proxy and no_proxy",
    ),
    _Cause(
        r"Could not resolve|Name or service not known|Temporary failure in name resolution",
        _SERVER,
        "it cannot resolve the name: check the address and its DNS",
    ),
    _Cause(r"cannot run|ssh: not found|ssh: No such file", _SERVER, "install what is missing"),
    _Cause(
        r"Permission denied \(|Authentication failed|could not read (?:Username|Password)"
        r"|(?:error:|HTTP|status) 40[13]\b|invalid credentials|access denied|Too many authentication failures"
        r"|error in libcrypto|invalid format",
        _FORGE,
        "it refuses these credentials: check `credentials:`, or what the user that runs Fraisier may read",
    ),
    _Cause(
        r"\bnot found|error: 404\b|does not exist|not appear to be a git repository|No such file|not valid:",
        _FORGE,
        "it has no such repository for these credentials: check `repository:` and `credentials:`",
    ),
    _DAMAGED,
    _Cause(r"dubious ownership", _REPOSITORY, "it belongs to another user"),
    _Cause(
        r"refused|Failed to connect|Couldn.t connect|timed out|reset by peer|hung up|RPC failed"
        r"|error: 5\d\d\b|internal|early EOF|unexpected|Empty reply|No route to host|unreachable|closed by",
        _FORGE,
        "it cannot be reached, or broke off: check the address and the network, then deploy again",
    ),
)
_UNKNOWN = _Cause("", "", "check the address, the network and `credentials:`, then deploy again")


def spoken(output: bytes | bytearray) -> list[str]:
    """Return the lines of git's output that say something, without its progress."""
    lines = printable(output.decode(errors="replace")).split("\n")
    said = (line.rstrip() for line in lines if line.strip())
    return [line for line in said if not _PROGRESS.fullmatch(line)]


def reason_of(said: list[str]) -> str:
    """Return the line that gives the reason: the first that complains in words that mean something."""
    telling = [line.strip() for line in said if not line.strip().startswith(_EMPTY_WORDS)]
    known = [line for line in telling if _known(line) is not None and not line.startswith("warning:")]
    complaints = [line for line in telling if _COMPLAINT.match(line)]
    return (known or complaints or telling[-1:] or said[-1:] or ["no reason given"])[0]


def explained(reason: str, keyscan: str = "ssh-keyscan HOST") -> str:
    """Return which side a reason puts at fault, and what to do; `keyscan` prints the host keys."""
    cause = _known(reason) or _UNKNOWN
    advice = cause.advice.replace("{keyscan}", keyscan)
    return f"{cause.side}: {advice}" if cause.side else advice


def damage_in(said: str) -> str | None:
    """Return the words by which git complains of its own files, or that the remote is of another format than
    they. What a remote says itself is none of these: the first such line and all that follows do not count.
    """
    ours = said.partition(_REMOTE_ERROR)[0]
    found = DAMAGE.search(ours) or OTHER_FORMAT.search(ours)
    return found[0] if found else None


def is_damage(reason: str) -> bool:
    """Whether a reason says that the remote cannot read what it has."""
    return _known(reason) is _DAMAGED


def _known(line: str) -> _Cause | None:
    words = _NAMES.sub("", line)
    return next((cause for cause in _CAUSES if re.search(cause.words, words, re.IGNORECASE)), None)


def last_line(output: str) -> str:
    """Return the last line of git's output that says something."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(_EMPTY_WORDS)]
    return (telling or lines or ["no reason given"])[-1]
