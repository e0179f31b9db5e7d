import re

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.digest import Reported, digest_document
from shared.domain.splitting import cuts

REPORT = st.builds(Reported, path=st.text(min_size=1), text=st.text(), truncated=st.booleans())


@given(st.lists(REPORT, max_size=5), st.dictionaries(st.text(min_size=1), st.text(), max_size=3))
def test_the_same_reports_give_the_same_bytes(
    reports: list[Reported], failed: dict[str, str]
) -> None:
    assert list(digest_document(iter(reports), failed)) == list(
        digest_document(iter(reports), failed)
    )


@given(st.text(), st.text())
def test_no_report_gets_out_of_its_tags(path: str, text: str) -> None:
    piece, *_ = digest_document(iter([Reported(path=path, text=text)]), {})
    last = re.findall(r"</data-([0-9a-f]{16})>", piece)[-1]
    assert last not in text
    assert piece.rstrip().endswith(f"</data-{last}>")


def test_numbers_are_those_of_reports_and_failures() -> None:
    reports = [Reported(path=f"{n}.md", text="x", truncated=n == 1) for n in range(3)]
    text = "".join(digest_document(iter(reports), {"b.md": "refusal", "a.md": "expired"}))
    assert "3 documents have a report; 2 have none:" in text
    assert text.index("a.md") < text.index("b.md")
    assert text.count("cut short") == 1
    assert "0 have none.\n" in "".join(digest_document(iter(reports), {}))


def test_it_is_cut_between_reports() -> None:
    body = "## A heading\n\nSome words of a report.\n\n" * 5
    reports = [Reported(path=f"{n}.md", text=body) for n in range(40)]
    text = "".join(digest_document(iter(reports), {}))
    ends = cuts(text, 2_000)
    assert len(ends) > 5
    assert all(text[end:].startswith(("# Report of", "# Numbers")) for end in ends[:-1])
