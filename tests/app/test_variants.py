import json

import pytest

from shared.adapters.builtin import catalog
from shared.app.contents import read_contents
from shared.app.gone import forget_gone
from shared.app.requests import Requests
from shared.app.uploads import Upload, take_upload
from shared.domain.document import DocumentStatus
from shared.domain.ids import CustomId
from shared.domain.recipe import Recipe, parse_recipe
from tests.app.home import JOB, Home
from tests.app.jobs import run


def recipe(languages: str, head: str = "") -> Recipe:
    text = (
        f"---\nmodel: claude-opus-4-6\nmax_tokens: 1000\neach: {{language: [{languages}]}}\n{head}"
        "---\n{{ document.name }} in {{ language }}: {{ document.text }}\n"
    )
    return parse_recipe(text, name="translate.md", catalog=catalog())


@pytest.fixture
def home(home: Home) -> Home:
    home.recipe = recipe("de, fr")
    return home


def prompts(home: Home) -> list[str]:
    """What would be sent for each document, in the order of their paths."""
    requests = Requests(home.deps, home.recipe)
    found = []
    for document, content in read_contents(home.deps, home.documents().values(), home.recipe):
        made = requests.make(document, content, CustomId("c"))
        assert isinstance(made, tuple)
        found.append(json.loads(made[1])["params"]["messages"][0]["content"])
    return found


def test_every_document_has_a_request_and_a_report_for_each_value(home: Home) -> None:
    home.write("guide/a.md", "Hello")
    home.write("rows.jsonl", '{"id": "r1", "text": "Good day"}\n')
    assert home.see().new == 4
    french = [prompt for prompt in prompts(home) if "in fr:" in prompt]
    assert len(french) == 2
    assert all("a.md.fr" not in prompt and "r1.fr" not in prompt for prompt in french)
    run(home)
    for path in ("guide/a.md.de", "guide/a.md.fr", "r1.de", "r1.fr"):
        assert f'document: "{path}"' in (home.report(path) or "")
    assert home.requested() == 4


def test_another_language_is_all_that_is_paid_for_when_it_is_added(home: Home) -> None:
    home.write("a.md", "Hello")
    home.see()
    run(home)
    home.recipe = recipe("de, fr, ja")
    taken = home.see()
    assert (taken.new, taken.unchanged) == (1, 2)
    run(home)
    assert home.report("a.md.ja")
    assert home.requested() == 3


def test_a_changed_document_is_made_anew_in_every_language(home: Home) -> None:
    home.write("a.md", "Hello")
    home.see()
    run(home)
    home.write("a.md", "Hello again")
    assert home.see().changed == 2
    run(home)
    assert home.requested() == 4


def test_batches_can_be_cut_along_the_value(home: Home) -> None:
    home.recipe = recipe("de, fr", "group_by: language\n")
    home.write("x/a.md", "Hello")
    home.write("y/b.md", "Good day")
    home.see()
    run(home)
    assert sorted((batch.group, batch.size) for batch in home.batches()) == [("de", 2), ("fr", 2)]


def plain() -> Recipe:
    text = "---\nmodel: claude-opus-4-6\n---\n{{ document.text }}\n"
    return parse_recipe(text, name="r.md", catalog=catalog())


def test_what_waited_before_there_were_languages_becomes_its_variants(home: Home) -> None:
    with_languages, home.recipe = home.recipe, plain()
    home.write("a.md", "Hello")
    home.write("rows.jsonl", '{"id": "r1", "text": "Good day"}\n')
    home.see()
    assert set(home.documents()) == {"a.md", "r1"}
    home.recipe = with_languages
    home.see()
    assert set(home.documents()) == {"a.md.de", "a.md.fr", "r1.de", "r1.fr"}


def test_a_report_from_before_there_were_languages_stays(home: Home) -> None:
    with_languages, home.recipe = home.recipe, plain()
    home.write("a.md", "Hello")
    home.see()
    run(home)
    home.recipe = with_languages
    home.see()
    run(home)
    assert {path for path, status in home.statuses().items() if status.value == "reported"} == {
        *("a.md", "a.md.de", "a.md.fr")
    }
    assert home.requested() == 3


def test_what_waits_for_a_language_that_is_gone_fails_unsent_and_is_forgotten(home: Home) -> None:
    home.write("a.md", "Hello")
    home.see()
    home.recipe = recipe("de")
    run(home)
    failure = home.documents()["a.md.fr"].failure
    assert failure is not None
    assert "has each language: de, and this was taken in for fr" in failure.message
    assert home.requested() == 1
    forget_gone(home.deps, JOB)
    assert set(home.documents()) == {"a.md.de"}


def test_a_removed_upload_is_forgotten_in_every_language(home: Home) -> None:
    home.write("legal/a.md", "Hello")
    take_upload(home.deps, Upload(key="legal/a.md"))
    assert set(home.documents()) == {"a.md.de", "a.md.fr"}
    (home.root / "input" / "legal" / "a.md").unlink()
    take_upload(home.deps, Upload(key="legal/a.md"))
    assert home.documents() == {}


def test_two_files_that_would_share_a_report_are_told_apart(home: Home) -> None:
    home.recipe = recipe("b.c, c")
    home.write("a", "one")
    home.write("a.b", "two")
    home.see()
    failed = {
        path: document.failure.type
        for path, document in home.documents().items()
        if document.failure is not None
    }
    assert list(failed.values()) == ["duplicate_path"]
    assert home.statuses()["a.b.c"] is DocumentStatus.WAITING
    assert len(home.documents()) == 4


def test_a_name_that_has_no_room_for_the_value_fails_by_name(home: Home) -> None:
    home.write("n" * 198, "Hello")
    assert home.see().unusable == 2
    failures = [each.failure for each in home.documents().values()]
    assert {each.type for each in failures if each} == {"invalid_name"}
