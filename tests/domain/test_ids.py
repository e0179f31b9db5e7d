import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ids import BatchId, JobName, batch_id, correlation_id, custom_id, place_of

BATCH = batch_id(123456789)


@given(st.text(max_size=300), st.integers(0, 99_999), st.integers(0, 2**60 - 1))
def test_a_custom_id_is_valid_and_says_its_place_and_batch(
    name: str, index: int, number: int
) -> None:
    batch = batch_id(number)
    made = custom_id(name, index, batch)
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", made)
    assert place_of(made) == (index, batch)


def test_a_custom_id_recalls_the_document() -> None:
    assert custom_id("legal/Müller & Söhne.pdf", 7, BATCH).startswith(
        "legal-Muller-Sohne-pdf-00007-"
    )


def test_two_documents_of_one_name_differ_by_their_place() -> None:
    assert custom_id("a.md", 1, BATCH) != custom_id("a.md", 2, BATCH)


@pytest.mark.parametrize("text", ["", "request-1", "doc-1_a", f"a-123-{BATCH}", f"{BATCH}"])
def test_ids_that_docmill_did_not_make_name_no_place(text: str) -> None:
    assert place_of(text) is None


def test_a_batch_can_not_hold_more_than_its_places() -> None:
    with pytest.raises(ValueError, match="at most"):
        custom_id("a", 100_000, BatchId(BATCH))


def test_batch_ids_differ_when_their_numbers_do() -> None:
    assert len({batch_id(number) for number in range(5_000)}) == 5_000


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_a_correlation_id_can_be_searched_for(job: str, path: str, version: str) -> None:
    made = correlation_id(JobName(job), path, version)
    assert re.fullmatch("[a-z2-7]{12}", made)
    assert made == correlation_id(JobName(job), path, version)


def test_a_correlation_id_differs_by_job_path_and_version() -> None:
    parts = ("a", "b", "ab", "")
    made = {
        correlation_id(JobName(job), path, version)
        for job in parts
        for path in parts
        for version in parts
    }
    assert len(made) == len(parts) ** 3


def test_the_correlation_ids_of_many_documents_differ() -> None:
    job = JobName("project-analysis")
    assert len({correlation_id(job, f"{n}.md", "e") for n in range(20_000)}) == 20_000
