import pytest
from fraisier_core.git.diagnosis import damage_in, explained, reason_of, spoken

SAID = {
    "this server: it cannot resolve": (
        "fatal: unable to access 'https://forge.example/api.git/': Could not resolve host: forge.example",
        "ssh: Could not resolve hostname forge.example: Name or service not known\r\n"
        "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access "
        "rights\nand the repository exists.",
    ),
    "this server: it does not trust": (
        "fatal: unable to access 'https://forge.example/': server certificate verification failed",
        "fatal: unable to access 'https://forge.example/': SSL certificate problem: self-signed certificate",
        "fatal: unable to access 'https://forge.example/': error setting certificate file: /nowhere/ca.pem",
    ),
    "this server: its disk is full": (
        "Receiving objects:  50% (1/2)\rReceiving objects: 100% (2/2)\n"
        "error: unable to write file ./objects/11/2: No space left on device\nfatal: unpack-objects failed",
        "fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output",
        "fatal: cannot store pack file: Disk quota exceeded",
    ),
    "this server: it does not get through its proxy": (
        "fatal: unable to access 'https://forge.example/': Could not resolve proxy: proxy.example",
        "fatal: unable to access 'https://forge.example/': Received HTTP code 407 from proxy after CONNECT",
        "fatal: unable to access 'https://forge.example/': CONNECT tunnel failed, response 407",
    ),
    "this server: it does not know this host key": (
        "Host key verification failed.\r\nfatal: Could not read from remote repository.",
        "No ED25519 host key is known for [127.0.0.1]:2222 and you have requested strict checking.\r\n"
        "Host key verification failed.\r\nfatal: Could not read from remote repository.",
    ),
    "the forge: it refuses these credentials": (
        "git@forge.example: Permission denied (publickey).\nfatal: Could not read from remote repository.",
        "remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://forge.example/a.git/'",
        "fatal: could not read Username for 'https://forge.example': terminal prompts disabled",
        "fatal: unable to access 'http://forge.example/a/': The requested URL returned error: 403",
    ),
    "the forge: it has no such repository": (
        "remote: Repository not found.\nfatal: repository 'https://forge.example/acme/api.git/' not found",
        "ERROR: Repository not found.\nfatal: Could not read from remote repository.",
        "fatal: '/srv/git/api.git' does not appear to be a git repository\nfatal: Could not read from remote "
        "repository.",
    ),
    "the forge: it cannot be reached": (
        "fatal: unable to access 'https://forge.example/': Failed to connect to forge.example port 443: "
        "Connection refused",
        "error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502\nfatal: hung up",
        "ssh: connect to host forge.example port 22: Connection timed out\nfatal: Could not read from remote "
        "repository.",
        "fatal: unable to access 'https://not-found.example/': The requested URL returned error: 500",
    ),
    "the repository: it is damaged": (
        "remote: fatal: packed object 1111 (stored in ./objects/pack/p.pack) is corrupt\nfatal: early EOF",
        "fatal: remote error: upload-pack: not our ref 1111111111111111111111111111111111111111",
        "error: object file ./objects/11/1 is empty\nfatal: loose object 11 (stored in x) is corrupt",
    ),
    "the repository: it is shallow": (
        "warning: rejected refs/heads/main because shallow roots are not allowed to be updated",
    ),
}
CASES = [(side, said) for side, outputs in SAID.items() for said in outputs]


@pytest.mark.parametrize(("side", "said"), CASES)
def test_the_side_that_is_at_fault_is_named(side: str, said: str) -> None:
    assert explained(reason_of(spoken(said.encode()))).startswith(side)


def test_the_reason_is_the_line_that_means_something() -> None:
    assert reason_of(spoken(SAID["this server: its disk is full"][0].encode())) == (
        "error: unable to write file ./objects/11/2: No space left on device"
    )
    assert reason_of(spoken(b"hello\nerror: something new\nfatal: and so on\n")) == "error: something new"
    assert reason_of(["only this"]) == "only this"
    assert reason_of([]) == "no reason given"


def test_progress_says_nothing() -> None:
    said = b"remote: Counting objects: 100% (3/3), done.\nFrom /srv\n * [new branch] main -> main\nerror: x\n"
    assert spoken(said) == ["error: x"]


def test_what_is_unknown_has_advice_all_the_same() -> None:
    assert explained("error: something new").startswith("check the address")


@pytest.mark.parametrize(
    "said",
    [
        "fatal: remote error: packfile is corrupt",
        "fatal: remote error: sorry\nfatal: packfile is corrupt",
        "remote: fatal: loose object 11 is corrupt\nfatal: remote error: inflate: data stream error",
        "error: RPC failed\nfatal: remote error: x\nfatal: mismatched algorithms: client sha1; server sha256",
    ],
)
def test_what_a_remote_says_does_not_make_a_mirror_anew(said: str) -> None:
    assert damage_in("\n".join(spoken(said.encode()))) is None


def test_what_git_says_of_its_own_files_does() -> None:
    said = "error: inflate: data stream error\nfatal: remote error: sorry"
    assert damage_in(said) == "error: inflate:"
    assert damage_in("fatal: mismatched algorithms: client sha1; server sha256")
