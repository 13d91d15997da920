"""A provider that passes `ProviderConformance`, and at least one for each of its tests that must not."""

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest
from fraisier_core.testing import ProviderConformance

PROVIDER = """
import hmac
from fraisier_core import (
    DeliveryId, Ignored, MalformedPayloadError, Payload, PayloadCommit, PayloadRef, PayloadText, Push,
    SampleDelivery, Unverified, Verified, commit_or_none, hookimpl,
)

class Event(Payload):
    event: PayloadText

class Change(Payload):
    ref: PayloadRef
    old: PayloadCommit
    new: PayloadCommit

class Changes(Event):
    repository: PayloadText
    url: PayloadText
    changes: list[Change]

@hookimpl
def verify(headers, body, secrets, now):
    time = headers.get("x-time", "")
    if not time.isdecimal() or len(time) > 12 or abs(now.timestamp() - int(time)) > 60:
        return Unverified("X-Time is no time in seconds, or too far from now")
    given = headers.get("x-signature", "").encode("latin-1")
    message = f"{headers.get('x-id', '')}.{time}.".encode("latin-1") + body
    for index, secret in enumerate(secrets):
        signature = b"v1=" + hmac.digest(secret.encode(), message, "sha256").hex().encode()
        if hmac.compare_digest(signature, given):
            return Verified(index)
    return Unverified("X-Signature is of another secret" if given else "no X-Signature header")

@hookimpl
def normalize(headers, body):
    event = Event.parse(body).event
    if event != "push":
        return Ignored(event, "only pushes deploy")
    payload = Changes.parse(body)
    return [
        Push(event, payload.repository, (payload.url,), change.ref,
             commit_or_none(change.old), commit_or_none(change.new), "")
        for change in payload.changes if change.ref.startswith(("refs/heads/", "refs/tags/"))
    ]

@hookimpl
def delivery_id(headers):
    value = headers.get("x-id")
    return DeliveryId(value, signed=True) if value else None

@hookimpl
def sample_delivery(secret, now):
    body = b'{"event": "test"}'
    time = str(int(now.timestamp()))
    signature = hmac.digest(secret.encode(), f"7.{time}.".encode() + body, "sha256").hex()
    return SampleDelivery({"x-id": "7", "x-time": time, "x-signature": f"v1={signature}"}, body)
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
    signature_prefix = "v1="
    tolerance = timedelta(seconds=60)
    fixtures = Path(__file__).parent

    def sign(self, body, secret, now):
        time = str(int(now.timestamp()))
        message = f"7.{time}.".encode() + body
        signature = hmac.new(secret.encode(), message, "sha256").hexdigest()
        return {"x-id": "7", "x-time": time, "x-signature": f"v1={signature}"}

    def event_headers(self, event):
        return {"x-event": event, "x-attempt": "1"}
"""

OLD, NEW, ZERO = "1f" * 20, "2e" * 20, "0" * 40
REPOSITORY = {"repository": "acme/api", "url": "https://git.example.com/acme/api.git"}
MAIN = {"ref": "refs/heads/main", "old": OLD, "new": NEW}
TAG = {"ref": "refs/tags/v1", "old": ZERO, "new": NEW}


def push(ref: str, before: str | None, after: str | None) -> Mapping[str, object]:
    same = {"event": "push", "repository": "acme/api", "urls": [REPOSITORY["url"]], "pusher": ""}
    return same | {"ref": ref, "before": before, "after": after}


FIXTURES = {
    "push": {"event": "push", "changes": [MAIN, TAG], **REPOSITORY},
    "push.expected": [push("refs/heads/main", OLD, NEW), push("refs/tags/v1", None, NEW)],
    "review": {"event": "review", "changes": [MAIN], **REPOSITORY},
    "review.expected": {"ignored": {"event": "review", "reason": "only pushes deploy"}},
}

VERIFY = "def verify(headers, body, secrets, now):\n"
COMPARISON = "hmac.compare_digest(signature, given)"
REFUSAL = 'return Unverified("X-Signature is of another secret" if given else "no X-Signature header")'
PARSED = "payload = Changes.parse(body)\n"
NORMALIZE = "@hookimpl\ndef normalize("
LOADED = "event = Event.parse(body).event\n"
CARELESS = """
@hookimpl
def settings():
    from fraisier_core import ProviderSettings
    class Careless(ProviderSettings):
        webhook_secret: tuple[str, ...] | str
        def secrets(self):
            return self.webhook_secret[:1]
    return Careless
"""
WITH_JSON = """import json
    try:
        given = json.loads(body)
        payload = Changes(event=event, repository=given["repository"], url=given["url"], changes=[
            Change(**{key: each[key] for key in ("ref", "old", "new")}) for each in given["changes"]])
    except WRONG:
        raise MalformedPayloadError("not what the forge sends") from None
"""
FIRST_OF_LIST = """import json
    try:
        given = json.loads(body)
        rest, given["changes"] = given["changes"][1:], given["changes"][:1]
        payload = Changes.parse(json.dumps(given).encode())
        payload.changes += [Change(**each) for each in rest]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise MalformedPayloadError("not what the forge sends") from None
"""

MISTAKES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "the_plugin_is_loaded": (("def normalize(", "def normalise("),),
    "the_settings_take_secrets_and_never_show_them": ((NORMALIZE, f"{CARELESS}{NORMALIZE}"),),
    "the_settings_refuse_an_empty_secret": ((NORMALIZE, f"{CARELESS}{NORMALIZE}"),),
    "a_genuine_delivery_is_verified": (("return Verified(index)", "return True"),),
    "a_sample_delivery_verifies_and_requests_nothing": (
        ('f"7.{time}.".encode() + body', "body"),
        ('b\'{"event": "test"}\'', "PUSH"),
        ("return SampleDelivery({", "return ({"),
    ),
    "during_a_rotation_the_secret_that_matched_is_named": (("return Verified(index)", "return Verified(0)"),),
    "a_delivery_with_another_secret_is_refused": (
        (COMPARISON, "given"),
        ("hmac.digest(secret.encode()", "hmac.digest(secret.lower().encode()"),
    ),
    "without_secrets_everything_is_refused": (
        (REFUSAL, f"if not secrets: return Verified(0)\n    {REFUSAL}"),
    ),
    "a_delivery_with_an_empty_secret_is_refused": (
        ("in enumerate(secrets)", 'in enumerate([*secrets, ""])'),
    ),
    "a_delivery_without_a_signature_is_refused": ((COMPARISON, f"not given or {COMPARISON}"),),
    "a_delivery_without_headers_is_refused": (('headers.get("x-time", "")', 'headers["x-time"]'),),
    "a_damaged_signature_is_refused": (
        (COMPARISON, "signature.startswith(given)"),
        (COMPARISON, "signature[:20] == given[:20]"),
        (COMPARISON, "signature.endswith(given)"),
        (COMPARISON, "signature == given.lower()"),
        (COMPARISON, "hmac.compare_digest(signature.decode(), given.decode('latin-1'))"),
    ),
    "a_weaker_signature_is_refused": (
        (
            COMPARISON,
            f"{COMPARISON} or given[5:] == hmac.digest(secret.encode(), body, 'sha1').hex().encode()",
        ),
        (COMPARISON, f"{COMPARISON} or given[3:] == secret.encode()"),
    ),
    "signatures_are_compared_in_constant_time": ((COMPARISON, "signature == given"),),
    "a_changed_body_is_refused_if_the_forge_signs_it": (
        ('.encode("latin-1") + body', '.encode("latin-1") + PUSH'),
        ('.encode("latin-1") + body', '.encode("latin-1") + body.replace(b"staging", b"main").strip()'),
    ),
    "a_signed_time_is_refused_beyond_the_tolerance": (
        ("abs(now.timestamp() - int(time))", "now.timestamp() - int(time)"),
        ("abs(now.timestamp() - int(time))", "int(time) - now.timestamp()"),
        ("> 60", "> 61"),
    ),
    "a_delivery_id_is_called_signed_only_if_a_fresh_one_is_refused": (
        ('headers.get("x-id")', 'headers.get("x-attempt")'),
        ('headers.get("x-id")', 'headers.get("x-delivery")'),
    ),
    "hostile_headers_are_refused_or_harmless": (
        ("time.isdecimal()", "time.isdigit()"),
        (" or len(time) > 12", ""),
        ("if value else None", "if value is not None else None"),
    ),
    "any_headers_are_refused_or_harmless": (
        ("not time.isdecimal()", "not time"),
        ('.get("x-signature", "").encode("latin-1")', '.get("x-signature", "").encode("ascii")'),
        (
            "DeliveryId(value, signed=True) if value",
            'DeliveryId(value.encode("ascii"), signed=True) if value',
        ),
    ),
    "a_refusal_says_why_in_one_line_without_secrets": (
        (REFUSAL, 'return Unverified("")'),
        (REFUSAL, 'return Unverified("refused\\n")'),
        (REFUSAL, 'return Unverified(f"it is none of {secrets}")'),
        (REFUSAL, 'return Unverified(f"{given} is of another secret")'),
    ),
    "nothing_secret_is_printed_or_logged": (
        (VERIFY, f"{VERIFY}    print(secrets)\n"),
        (VERIFY, f"{VERIFY}    import logging\n    logging.getLogger('forge').debug('%s', secrets)\n"),
    ),
    "a_payload_becomes_what_is_expected": (("Push(event,", 'Push("pushed",'),),
    "a_relabelled_event_pushes_nothing_else": (
        (LOADED, f'{LOADED}    event = headers.get("x-event", "")\n'),
        (LOADED, f'{LOADED}    event = headers["x-event"]\n'),
    ),
    "every_ref_of_a_push_is_reported": (("in payload.changes", "in payload.changes[:2]"),),
    "a_ref_whose_new_id_is_zero_is_deleted": (
        ("commit_or_none(change.new)", "change.new"),
        ("commit_or_none(change.new)", "commit_or_none(change.new) or change.old"),
    ),
    "a_tag_is_never_reported_as_a_branch": (
        ("change.ref,", '"refs/heads/" + change.ref.rpartition("/")[2],'),
    ),
    "names_stay_inert_text": (
        ("change.ref,", 'change.ref[:5] + change.ref[5:].replace("refs/heads/", ""),'),
        ("change.ref,", "__import__('urllib.parse').parse.unquote(change.ref),"),
    ),
    "addresses_stay_inert_text": (("(payload.url,)", "(__import__('os').path.expandvars(payload.url),)"),),
    "a_malformed_body_is_called_malformed": (
        (
            LOADED,
            LOADED.replace("Event.parse(body)", "__import__('msgspec').json.decode(body, type=Event)"),
        ),
        (
            LOADED,
            f'if body in (b"", b"{{}}"): return []\n    {LOADED}',
        ),
    ),
    "a_payload_with_one_field_wrong_is_malformed_or_harmless": (
        ("new: PayloadCommit", "new: PayloadText"),
        ("ref: PayloadRef", "ref: str"),
        (PARSED, WITH_JSON.replace("WRONG", "(ValueError, KeyError, TypeError)")),
        (PARSED, FIRST_OF_LIST),
    ),
    "of_a_key_that_is_there_twice_the_last_counts": (
        (
            LOADED,
            LOADED
            + """    import json
    def first(pairs):
        return dict(reversed(pairs))
    try:
        body = json.dumps(json.loads(body, object_pairs_hook=first)).encode()
    except ValueError:
        raise MalformedPayloadError("no JSON") from None
""",
        ),
    ),
    "a_huge_body_is_done_with_in_time": (
        (PARSED, f"{PARSED}    __import__('re').search('(a+)+c', payload.repository)\n"),
        (VERIFY, f"{VERIFY}    bytes(body[-at:][0] for at in range(1, len(body)))\n"),
    ),
    "the_error_does_not_quote_the_payload": (
        (
            PARSED,
            """try:
        payload = Changes.parse(body)
    except MalformedPayloadError:
        raise MalformedPayloadError(str(body)) from None
""",
        ),
    ),
    "a_mutated_payload_is_malformed_or_harmless": (
        (PARSED, WITH_JSON.replace("WRONG", "ValueError")),
        (COMPARISON, f"{COMPARISON} or b'changes' not in body"),
    ),
    "a_mutated_body_is_malformed_or_harmless": (
        (LOADED, f"body.decode()\n    {LOADED}"),
        (COMPARISON, f"{COMPARISON} or body[:1] != b'{{'"),
    ),
}
BROKEN = [
    (test, number, right, wrong)
    for test, mistakes in MISTAKES.items()
    for number, (right, wrong) in enumerate(mistakes)
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, set[str]]:
    """How the tests ended, for each provider; all run once, in a pytest of their own."""
    folder = tmp_path_factory.mktemp("providers")
    for name, content in FIXTURES.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    tests = [write_provider(folder, "correct", PROVIDER)]
    for test, number, right, wrong in BROKEN:
        source = PROVIDER.replace(right, wrong)
        tests.append(f"{write_provider(folder, f'{test}_{number}', source)}::TestProvider::test_{test}")
    return run(folder, tests)


def write_provider(folder: Path, name: str, source: str) -> str:
    (folder / f"{name}.py").write_text(f"PUSH = {json.dumps(FIXTURES['push']).encode()!r}\n{source}")
    (folder / f"test_{name}.py").write_text(TESTS.replace("PROVIDER", name))
    return f"test_{name}.py"


def run(folder: Path, tests: list[str]) -> Mapping[str, set[str]]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb=no", "-qrfEp", *tests]
    output = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout
    found: dict[str, set[str]] = defaultdict(set)
    line = r"^(\w+) test_(\w+)\.py::TestProvider::test_\w+"
    for outcome, name in re.findall(line, output, re.MULTILINE):
        found[name].add(outcome)
    return found


def test_a_correct_provider_conforms(outcomes: Mapping[str, set[str]]) -> None:
    assert outcomes["correct"] == {"PASSED"}


def test_for_each_test_there_is_a_provider_that_fails_it() -> None:
    tests = {name.removeprefix("test_") for name in dir(ProviderConformance) if name.startswith("test_")}
    assert tests == set(MISTAKES)


@pytest.mark.parametrize(
    ("test", "number", "right", "wrong"), BROKEN, ids=[f"{test}-{number}" for test, number, *_ in BROKEN]
)
def test_a_mistaken_provider_fails_the_test_that_is_named_for_it(
    outcomes: Mapping[str, set[str]], test: str, number: int, right: str, wrong: str
) -> None:
    assert right in PROVIDER
    assert outcomes[f"{test}_{number}"] & {"FAILED", "ERROR"}
