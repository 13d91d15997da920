"""A provider that passes `ProviderConformance`, and one for each mistake that must not."""

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

PROVIDER = """
import hmac
from fraisier_core import Ignored, Payload, PayloadCommit, PayloadRef, PayloadText, Push, Verified, hookimpl

class Change(Payload):
    ref: PayloadRef
    commit: PayloadCommit
    repository: PayloadText

@hookimpl
def verify(headers, body, secrets, now):
    time = headers.get("x-time", "")
    if not time.isdecimal() or len(time) > 12 or abs(now.timestamp() - int(time)) > 60:
        return None
    given = headers.get("x-signature", "").encode("latin-1")
    for index, secret in enumerate(secrets):
        signature = hmac.new(secret.encode(), time.encode() + body, "sha256").hexdigest().encode()
        if hmac.compare_digest(signature, given):
            return Verified(index)
    return None

@hookimpl
def normalize(headers, body):
    if headers.get("x-event") != "push":
        return Ignored(headers.get("x-event", ""), "only pushes deploy")
    change = Change.parse(body)
    if not change.ref.startswith("refs/heads/"):
        return Ignored("push", "only branches deploy")
    return [Push("push", change.repository, (), change.ref, None, change.commit, "")]
"""

TESTS = """
import hmac
from datetime import timedelta
from pathlib import Path
import PROVIDER as provider
from fraisier_core.testing import ProviderConformance

class TestProvider(ProviderConformance):
    plugin = provider
    secret, other_secret = "correct horse", "battery staple"
    signature_header = "x-signature"
    tolerance = timedelta(seconds=60)
    fixtures = Path(__file__).parent

    def sign(self, body, secret, now):
        time = str(int(now.timestamp()))
        signature = hmac.new(secret.encode(), time.encode() + body, "sha256").hexdigest()
        return {"x-time": time, "x-signature": signature}

    def event_headers(self, event):
        return {"x-event": event}
"""

PUSH = '{"ref": "refs/heads/main", "commit": "%s", "repository": "acme/api"}' % ("2e" * 20)
EXPECTED = """[{"event": "push", "repository": "acme/api", "urls": [], "ref": "refs/heads/main",
"before": null, "after": "%s", "pusher": ""}]""" % ("2e" * 20)
IGNORED = '{"ignored": {"event": "ping", "reason": "only pushes deploy"}}'

COMPARISON = "hmac.compare_digest(signature, given)"
SETTINGS = """
@hookimpl
def settings():
    from fraisier_core import ProviderSettings
    class Careless(ProviderSettings):
        webhook_secret: tuple[str, ...] | str
        def secrets(self):
            return self.webhook_secret[:1]
    return Careless
"""

MISTAKES = {
    "the_plugin_is_loaded": ("def normalize(", "def normalise("),
    "the_settings_take_secrets": ("@hookimpl\ndef normalize", f"{SETTINGS}\n@hookimpl\ndef normalize"),
    "the_settings_refuse_an_empty": ("@hookimpl\ndef normalize", f"{SETTINGS}\n@hookimpl\ndef normalize"),
    "a_genuine_delivery_is_verified": ("return Verified(index)", "return True"),
    "during_a_rotation": ("return Verified(index)", "return Verified(0)"),
    "a_delivery_with_another_secret": (COMPARISON, "True"),
    "without_secrets": (
        "    return None\n\n@hookimpl",
        "    return None if secrets else Verified(0)\n\n@hookimpl",
    ),
    "a_delivery_with_an_empty_secret": ("in enumerate(secrets)", 'in enumerate([*secrets, ""])'),
    "a_delivery_without_a_signature": (COMPARISON, f"not given or {COMPARISON}"),
    "a_delivery_without_headers": ('headers.get("x-time", "")', 'headers["x-time"]'),
    "a_damaged_signature": (COMPARISON, "given and signature.startswith(given)"),
    "hostile_headers": ("time.isdecimal()", "time.isdigit()"),
    "a_changed_body": ("time.encode() + body", "time.encode() + PUSH"),
    "a_signed_time": ("abs(now.timestamp() - int(time))", "now.timestamp() - int(time)"),
    "a_payload_becomes": ('"push", change.repository', '"pushed", change.repository'),
    "a_malformed_body": ("Change.parse(body)", "Change.model_validate_json(body)"),
    "a_payload_with_one_field_wrong": ("commit: PayloadCommit", "commit: PayloadText"),
    "the_error_does_not_quote": (
        "change = Change.parse(body)",
        "from fraisier_core import MalformedPayloadError as Malformed\n"
        "    try:\n        change = Change.parse(body)\n"
        "    except Malformed:\n        raise Malformed(str(body)) from None",
    ),
}


@pytest.fixture(scope="module")
def unsuccessful(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, set[str]]:
    """The tests that fail or cannot run, for each provider; all run once, in a pytest of their own."""
    folder = tmp_path_factory.mktemp("providers")
    fixtures = {"push": PUSH, "push.expected": EXPECTED, "ping": "{}", "ping.expected": IGNORED}
    for name, text in fixtures.items():
        (folder / f"{name}.json").write_text(text)
    write_provider(folder, "correct", PROVIDER)
    for mistake, (right, wrong) in MISTAKES.items():
        write_provider(folder, mistake, PROVIDER.replace(right, wrong))
    return run(folder)


def write_provider(folder: Path, name: str, source: str) -> None:
    (folder / f"{name}.py").write_text(f"PUSH = {PUSH.encode()!r}\n{source}")
    (folder / f"test_{name}.py").write_text(TESTS.replace("PROVIDER", name))


def run(folder: Path) -> Mapping[str, set[str]]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb=no", "-qrfEp"]
    output = subprocess.run(
        [*command, folder], cwd=folder, capture_output=True, text=True, check=False
    ).stdout
    tests: dict[str, set[str]] = defaultdict(set)
    line = r"^(\w+) test_(\w+)\.py::TestProvider::test_(\w+)"
    for outcome, name, test in re.findall(line, output, re.MULTILINE):
        tests[name] |= {test} if outcome != "PASSED" else set()
    return tests


def test_a_correct_provider_conforms(unsuccessful: Mapping[str, set[str]]) -> None:
    assert unsuccessful["correct"] == set()
    assert set(unsuccessful) == {"correct", *MISTAKES}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistaken_provider_fails_the_test_that_is_named_for_it(
    unsuccessful: Mapping[str, set[str]], mistake: str
) -> None:
    assert MISTAKES[mistake][0] in PROVIDER
    assert any(test.startswith(mistake) for test in unsuccessful[mistake])
