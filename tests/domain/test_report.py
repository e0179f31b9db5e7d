import json
import re
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.domain.answer_form import Output
from shared.domain.batch import BatchStatus
from shared.domain.catalog import Usage
from shared.domain.document import Failure
from shared.domain.ids import CorrelationId, CustomId, ProviderId
from shared.domain.names import REPORT_SUFFIXES
from shared.domain.outcome import Report
from shared.domain.report import REPORT_BEGINS, plain, render_failure, render_report
from tests.domain.test_batch import batch

REPORT = Report(
    text="# Überblick\n\ntext",
    model="claude-opus-4-6",
    stop_reason="max_tokens",
    truncated=True,
    usage=Usage(input_tokens=16, output_tokens=5, cache_creation_5m=1, cache_creation_1h=2),
)


def rendered(
    document: str = "legal/nda.md", cost: Decimal | None = Decimal("0.0001025"), **words: str
) -> bytes:
    return render_report(
        replace(REPORT, **words),
        document=document,
        custom_id=CustomId("nda-00000-k2m9x4q2w8ab"),
        batch=batch(BatchStatus.ENDED, provider_id=ProviderId("msgbatch_01X")),
        correlation_id=CorrelationId("b3ymzqk5w7ea"),
        cost=cost,
    )


def header(report: bytes) -> dict[str, object]:
    found = yaml.safe_load(report.decode().split("\n---\n")[0].removeprefix("---\n"))
    assert isinstance(found, dict)
    return found


def test_a_report_says_where_it_comes_from_and_what_it_cost() -> None:
    assert header(rendered()) == {
        "document": "legal/nda.md",
        "model": "claude-opus-4-6",
        "custom_id": "nda-00000-k2m9x4q2w8ab",
        "batch": "msgbatch_01X",
        "correlation_id": "b3ymzqk5w7ea",
        "input_tokens": 16,
        "cache_write_tokens": 3,
        "cache_read_tokens": 0,
        "output_tokens": 5,
        "cost_usd": 0.0001025,
        "stop_reason": "max_tokens",
        "truncated": True,
    }
    assert rendered().endswith("---\n\n# Überblick\n\ntext\n".encode())


def test_a_cost_that_is_not_known_says_so() -> None:
    assert header(rendered(cost=None))["cost_usd"] == "unknown"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_no_name_can_end_the_header_or_change_another_field(name: str) -> None:
    found = header(rendered(document=name))
    assert found["document"] == name
    assert found["stop_reason"] == "max_tokens"


def test_the_same_result_gives_the_same_bytes() -> None:
    assert rendered() == rendered()


@pytest.mark.parametrize(
    ("amount", "text"), [("0E+3", "0"), ("1E-7", "0.0000001"), ("12.500", "12.5"), ("300", "300")]
)
def test_amounts_are_written_plainly(amount: str, text: str) -> None:
    assert f"{plain(Decimal(amount)):f}" == text


def test_a_failure_is_one_object_with_the_words_of_the_api() -> None:
    failure = Failure(
        type="invalid_request_error",
        message="prompt is too long\n",
        attempts=1,
        custom_id=CustomId("a-00000-k2m9x4q2w8ab"),
    )
    line = render_failure("a.md", failure, CorrelationId("b3ymzqk5w7ea"))
    assert b"\n" not in line
    assert json.loads(line) == {
        "path": "a.md",
        "custom_id": "a-00000-k2m9x4q2w8ab",
        "type": "invalid_request_error",
        "message": "prompt is too long\n",
        "attempts": 1,
        "retryable": False,
        "correlation_id": "b3ymzqk5w7ea",
    }


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(
        st.characters(exclude_categories=["Cs"], include_characters="\r\n\x7f\x85\u2028\ufeff")
    ),
)
@settings(max_examples=300)
def test_no_word_of_the_providers_can_end_the_header_and_the_text_is_unchanged(
    word: str, text: str
) -> None:
    written = rendered(model=word, stop_reason=word, text=text)
    found = header(written)
    assert (found["model"], found["stop_reason"]) == (word, word)
    assert found["document"] == "legal/nda.md"
    assert written.split(b"---\n\n", 1)[1].removesuffix(b"\n") == text.encode().removesuffix(b"\n")


@pytest.mark.parametrize(
    "word",
    [
        "---",
        "\n---\n",
        "a\r\nb: c",
        '"\nmodel: x',
        "&a [*a, *a]",
        "!!python/object/apply:os.system [ls]",
        "\x00\x1b[31m\x07",
        "\x7f\x80\x85\x9b",
        "\u2028\u2029",
        "\u202egpj.exe\u2066",
        "\ufeff\ufffe\uffff",
        "\U0001f600\U0010ffff",
        "null",
        "{}",
        "1e999",
        "# comment",
        "\\u0041\\",
        "x" * 100_000,
    ],
)
def test_words_made_to_break_out_come_back_as_they_are(word: str) -> None:
    written = rendered(model=word, stop_reason=word, text="---\nmodel: forged\n---\n")
    found = header(written)
    assert (found["model"], found["stop_reason"]) == (word, word)
    assert written.endswith(b"\n---\n\n---\nmodel: forged\n---\n")
    assert not re.search("[\x1b\x7f-\x9f\u202a-\u202e\u2066-\u2069]", written.decode())


def other(output: Output, **words: Any) -> bytes:
    return render_report(
        replace(REPORT, **words),
        output=output,
        document="legal/nda.md",
        custom_id=CustomId("nda-00000-k2m9x4q2w8ab"),
        batch=batch(BatchStatus.ENDED, provider_id=ProviderId("msgbatch_01X")),
        correlation_id=CorrelationId("b3ymzqk5w7ea"),
        cost=Decimal("0.0001025"),
    )


@pytest.mark.parametrize("output", list(Output))
def test_a_report_of_each_kind_is_known_by_its_beginning(output: Output) -> None:
    made = other(output, fields={"score": 5})
    assert made.startswith(REPORT_BEGINS[output.suffix])
    assert set(REPORT_BEGINS) == set(REPORT_SUFFIXES)


def test_a_json_report_has_the_facts_and_the_answer() -> None:
    found = json.loads(other(Output.JSON, text="", fields={"score": 5, "ü": ["</script>"]}))
    assert found["answer"] == {"score": 5, "ü": ["</script>"]}
    assert found["docmill"] == header(rendered())


def test_a_text_report_has_the_header_and_the_text_as_it_came() -> None:
    assert other(Output.TEXT) == rendered()


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,9}", fullmatch=True), _VALUES, min_size=1))
def test_no_field_can_end_the_header_or_change_another_fact(fields: dict[str, Any]) -> None:
    found = header(other(Output.MARKDOWN, fields=fields))
    assert found["document"] == "legal/nda.md"
    assert found["truncated"] is True
    assert found["fields"] == fields
