"""Results through collect: what is broken in a stream costs its own lines and nothing else."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.adapters.simulator_api import SimulatorApi
from shared.app.publish import publish
from shared.domain.batch import BatchStatus
from shared.domain.document import Document, DocumentStatus
from shared.domain.ids import ProviderId
from shared.domain.names import escaped
from tests.app.home import JOB, Home

Mangle = Callable[[list[bytes]], list[bytes]]
LINES = 20
OTHER = b'{"custom_id":"d-00000-aaaaaaaaaaaa","result":{"type":"expired"}}'


class Mangling(SimulatorApi):
    """A provider whose results are changed on the way."""

    def __init__(self, home: Home, mangle: Mangle) -> None:
        super().__init__(home.simulator, lambda: home.now)
        self._mangle = mangle

    async def results(self, provider_id: ProviderId) -> AsyncGenerator[list[bytes], None]:
        """All lines at once, mangled."""
        yield self._mangle([line async for lines in super().results(provider_id) for line in lines])


def collected(home: Home, mangle: Mangle, count: int = LINES) -> dict[str, Document]:
    """The documents after a batch of so many whose results were mangled, whatever it takes."""
    for number in range(count):
        home.write(f"d{number:02}.md", f"document {number}")
    home.see()
    home.deps = replace(home.deps, api=Mangling(home, mangle))
    asyncio.run(home.finish())
    assert [batch.status for batch in home.batches()] == [BatchStatus.COLLECTED]
    publish(home.deps, JOB)
    check_totals(home)
    return home.documents()


def check_totals(home: Home) -> None:
    """What is published agrees with what is there: every document one or the other."""
    output = home.root / "output"
    summary = json.loads((output / "summary.json").read_text())
    failures = [json.loads(line) for line in (output / "failures.jsonl").read_text().splitlines()]
    reports = list(output.glob("*.md"))
    documents, outcomes = summary["documents"], summary["outcomes"]
    assert documents["reported"] == outcomes["reported"] == len(reports)
    assert documents["failed"] == outcomes["failed"] == len(failures)
    assert documents["total"] == len(reports) + len(failures)
    assert all(tokens >= 0 for tokens in summary["tokens"].values())
    assert summary["cost_usd"] == "unknown" or summary["cost_usd"] >= 0
    assert all(failure["type"] and failure["message"] for failure in failures)


def failed(documents: dict[str, Document]) -> dict[str, str]:
    return {path: d.failure.type for path, d in documents.items() if d.failure is not None}


def edited(change: Callable[[dict[str, Any]], Any], rows: range) -> Mangle:
    """The lines of some documents after a change to what they say."""

    def mangle(lines: list[bytes]) -> list[bytes]:
        found = []
        for line in lines:
            said = json.loads(line)
            number = int(said["custom_id"][1:3])
            found.append(json.dumps(change(said)).encode() if number in rows else line)
        return found

    return mangle


def usage(**odd: object) -> Callable[[dict[str, Any]], Any]:
    def change(said: dict[str, Any]) -> Any:
        said["result"]["message"]["usage"] |= odd
        return said

    return change


def message(**odd: object) -> Callable[[dict[str, Any]], Any]:
    def change(said: dict[str, Any]) -> Any:
        said["result"]["message"] |= odd
        return said

    return change


def result(odd: object) -> Callable[[dict[str, Any]], Any]:
    return lambda said: said | {"result": odd}


@pytest.mark.parametrize(
    "change",
    [
        usage(input_tokens=-(10**9), output_tokens=10**300),
        usage(input_tokens="16", output_tokens=[1]),
        usage(input_tokens=1.5, cache_creation=None, cache_read_input_tokens={}),
        message(usage=None),
        message(usage="free", model=None, stop_reason="comet_strike"),
        message(stop_reason=5, id=None, role=[], stop_details=[]),
        message(content=[None, {"type": "new"}, {"type": "text", "text": "kept"}, 5]),
        lambda said: said | {"extra": None, "custom_id": said["custom_id"]},
    ],
)
def test_odd_fields_beside_the_text_lose_no_report(home: Home, change: Any) -> None:
    documents = collected(home, edited(change, range(3, 8)))
    assert {d.status for d in documents.values()} == {DocumentStatus.REPORTED}


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (result(None), "unknown_result"),
        (result({"type": "succeeded", "message": None}), "unknown_result"),
        (result({"type": "vanished"}), "unknown_result"),
        (result({"type": None, "message": {}}), "unknown_result"),
        (result({"type": "errored", "error": None}), "unknown_error"),
        (
            result({"type": "errored", "error": {"error": {"type": 5, "message": []}}}),
            "unknown_error",
        ),
        (message(content=None), "empty_report"),
        (message(content=[{"type": "new", "text": "x"}]), "empty_report"),
        (lambda said: said | {"custom_id": None}, "result_missing"),
        (lambda said: said | {"custom_id": said["custom_id"][:-1] + "x"}, "result_missing"),
        (lambda said: said | {"custom_id": said["custom_id"] * 1000}, "result_missing"),
        (lambda said: [said], "result_missing"),
        (lambda said: None, "result_missing"),
    ],
)
def test_broken_lines_end_as_failures_with_their_cause_and_the_others_are_reported(
    home: Home, change: Any, cause: str
) -> None:
    documents = collected(home, edited(change, range(3, 8)))
    assert failed(documents) == {f"d{number:02}.md": cause for number in range(3, 8)}


def test_garbage_between_the_lines_costs_nothing(home: Home) -> None:
    garbage = [b"\x00" * 100, b"[" * 100_000, b"{}", b"null", b"\xff\xfe", OTHER, b"x" * 5_000_000]
    documents = collected(home, lambda lines: [*garbage, *lines, *garbage])
    assert failed(documents) == {}
    assert "lines that can't be matched" in home.batches()[0].note


def test_of_two_lines_for_one_request_the_first_counts(home: Home) -> None:
    def twice(lines: list[bytes]) -> list[bytes]:
        forged = edited(message(content=[{"type": "text", "text": "forged"}]), range(LINES))
        return [*lines, *forged(lines), *lines]

    assert failed(collected(home, twice)) == {}
    assert not any("forged" in (home.report(path) or "") for path in home.documents())


@given(st.integers(0, 2**32))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_at_random_never_touches_the_other_lines(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rng = random.Random(seed)
    broken = set(rng.sample(range(LINES), rng.randint(0, LINES)))
    ways: list[Callable[[bytes], list[bytes]]] = [
        lambda line: [],
        lambda line: [line[: len(line) // 2]],
        lambda line: [line.replace(b":", b";")],
        lambda line: [b"\x00" + line],
        lambda line: [rng.randbytes(50).replace(b"\n", b"")],
        lambda line: [line.replace(b"custom_id", b"custom_ie")],
        lambda line: [line[:-1], line[-1:]],
    ]

    def mangle(lines: list[bytes]) -> list[bytes]:
        found: list[bytes] = []
        for line in lines:
            number = int(json.loads(line)["custom_id"][1:3])
            found += ways[number % len(ways)](line) if number in broken else [line, line]
        rng.shuffle(found)
        return found

    home = Home(tmp_path_factory.mktemp("home"))
    try:
        assert set(failed(collected(home, mangle))) == {f"d{number:02}.md" for number in broken}
    finally:
        home.store.close()


TEXTS = (
    "---\nmodel: forged\n---\ntext",
    "a\r\nb\rc\x00d\x07e\x1b[31mf\x1b]0;title\x07",
    "\u202edrawkcab\u2066\u200b\ufeff\u2028\u2029\x85",
    "<script>alert(1)</script> [x](javascript:x) ![y](file:///etc/passwd)",
    "&a [*a, *a]\n!!python/object/apply:os.system ['true']",
    "{{ document.text }}{% raw %}",
    "\ud83d\ude00 " + "x" * 1_000_000,
)


def test_what_the_model_writes_stays_behind_a_header_that_can_be_read(home: Home) -> None:
    def change(said: dict[str, Any]) -> Any:
        number = int(said["custom_id"][1:3])
        word = TEXTS[number][:200]
        content = [{"type": "text", "text": TEXTS[number]}]
        said["result"]["message"] |= {"content": content, "model": word, "stop_reason": word}
        return said

    documents = collected(home, edited(change, range(len(TEXTS))), count=len(TEXTS))
    assert failed(documents) == {}
    for number, text in enumerate(TEXTS):
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16")
        written = (home.root / "output" / f"d{number:02}.md.md").read_bytes()
        head, _, body = written.partition(b"\n---\n\n")
        header = yaml.safe_load(head.decode().removeprefix("---\n"))
        word = whole[:200] if number else text[:200]
        assert header["document"] == f"d{number:02}.md"
        assert header["model"] == header["stop_reason"] == word[: len(header["model"])]
        assert len(header["model"]) >= len(text[:200]) - 1
        assert body == whole.encode() + b"\n"


def test_what_an_error_says_is_kept_bounded_and_shown_on_one_line(home: Home) -> None:
    said = "\x1b[2J\x1b]0;owned\x07\r\nline two\x9b31m\u202e " + "x" * 1_000_000
    error = {"type": "t\n" * 500, "message": said}
    documents = collected(
        home, edited(result({"type": "errored", "error": {"error": error}}), range(1))
    )
    failure = documents["d00.md"].failure
    assert failure is not None
    assert len(failure.type) + len(failure.message) < 2_200
    lines = (home.root / "output" / "failures.jsonl").read_bytes().splitlines()
    assert len(lines) == 1
    for event, facts in home.events:
        assert len(escaped(f"{event} {facts}").splitlines()) == 1
