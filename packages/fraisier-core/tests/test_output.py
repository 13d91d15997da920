import itertools
import threading

from fraisier_core.engine.output import StepOutput
from fraisier_core.text.redaction import Redactor
from hypothesis import given
from hypothesis import strategies as st

PLENTY = 1_000_000

secrets = st.text(st.sampled_from("ab1/ä"), min_size=4, max_size=8)


@st.composite
def noise_and_secrets(draw: st.DrawFn, noise: str) -> tuple[list[str], str]:
    """Some secrets, and a text that is full of them and of what looks like their beginnings."""
    chosen = draw(st.lists(secrets, min_size=1, max_size=3))
    parts = st.one_of(st.sampled_from(chosen), st.text(st.sampled_from("ab1/ä:@ " + noise), max_size=5))
    return chosen, "".join(draw(st.lists(parts, max_size=12)))


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(position % (len(data) + 1) for position in at)})
    return [data[start:stop] for start, stop in itertools.pairwise(edges)]


def everything(output: StepOutput, pieces: list[bytes]) -> str:
    chunks = []
    for piece in pieces:
        output.write(piece)
        chunks.append(output.take())
    chunks.append(output.take(last=True))
    return "".join(chunk[0] for chunk in chunks if chunk is not None)


@given(noise_and_secrets("\n"), st.lists(st.integers(0, 1000), max_size=8))
def test_pieces_are_redacted_as_if_they_were_one(case: tuple[list[str], str], at: list[int]) -> None:
    redactor = Redactor(case[0])
    text = case[1] + "://x \n"
    assert everything(StepOutput(redactor, PLENTY), cut(text.encode(), at)) == redactor.redact(text)


@given(noise_and_secrets("\n\r\0\x1b[m"), st.lists(st.integers(0, 1000), max_size=8), st.integers(1, 40))
def test_no_secret_survives_whatever_is_dropped(
    case: tuple[list[str], str], at: list[int], limit: int
) -> None:
    shown = everything(StepOutput(Redactor(case[0]), limit), cut(case[1].encode(), at))
    assert not [secret for secret in case[0] if secret in shown]


@given(st.text("xyz0123456789", min_size=8, max_size=30), st.integers(1, 60), st.text("-\n", max_size=30))
def test_no_telling_tail_of_a_secret_survives_a_drop(secret: str, limit: int, after: str) -> None:
    output = StepOutput(Redactor([secret]), limit)
    output.write(f"{'-' * 50}{secret}{after}".encode())
    chunk = output.take(last=True)
    assert chunk is not None
    assert secret[-4:] not in chunk[0]


def test_what_stands_on_both_sides_of_a_gap_makes_up_no_secret() -> None:
    shown = everything(StepOutput(Redactor(["1111"]), 3), [b"1", b"1111111"])
    assert shown == "***111"


def test_the_beginning_of_a_secret_is_hidden_where_the_output_ends() -> None:
    assert everything(StepOutput(Redactor(["hunter22"]), PLENTY), [b"password: hunter2"]) == "password: ***"


def test_a_repeated_secret_on_an_endless_line_is_not_held_back() -> None:
    output = StepOutput(Redactor(["aaaa"]), PLENTY)
    shown = everything(output, [b"a" * 1000] * 50)
    assert shown == "***"


def test_an_endless_line_keeps_the_newest_and_counts_the_rest() -> None:
    output = StepOutput(Redactor(["secret"]), 1000)
    for _ in range(5000):
        output.write(b"x" * 999 + b"y")
    chunk = output.take(last=True)
    assert chunk is not None
    text, dropped = chunk
    assert text == "x" * 999 + "y"
    assert dropped == 4_999_000


def test_what_was_dropped_is_cut_at_a_line() -> None:
    output = StepOutput(Redactor([]), 100)
    output.write(b"".join(b"line %03d\n" % number for number in range(100)))
    chunk = output.take()
    assert chunk is not None
    text, dropped = chunk
    assert text.startswith("line 0")
    assert text.endswith("line 099\n")
    assert len(text) + dropped == 900


def test_a_prompt_without_a_line_end_is_shown_at_once() -> None:
    output = StepOutput(Redactor(["secret"]), PLENTY)
    output.write(b"Compiling ...")
    chunk = output.take()
    assert chunk == ("Compiling ...", 0)
    assert output.take() is None


def test_nul_and_invalid_utf8_are_survived() -> None:
    assert everything(StepOutput(Redactor([]), PLENTY), [b"a\0\xff\xc3", b"\xa4b\n"]) == "a\ufffdäb\n"


def test_writer_and_reader_may_be_different_threads() -> None:
    output = StepOutput(Redactor(["needle99"]), PLENTY)

    def write() -> None:
        for _ in range(2000):
            output.write(b"12345needle99")

    writer = threading.Thread(target=write)
    writer.start()
    text = ""
    while writer.is_alive():
        chunk = output.take()
        text += chunk[0] if chunk else ""
    writer.join()
    last = output.take(last=True)
    text += last[0] if last else ""
    assert text == "12345***" * 2000
