"""Answers beside the truth, from a manifest's row to the table."""

import json

import pytest

from shared.adapters.builtin import catalog
from shared.app.contents import read_contents
from shared.app.requests import Requests
from shared.domain.document import DocumentStatus
from shared.domain.ids import CustomId
from shared.domain.recipe import RecipeError, parse_recipe
from tests.app.home import Home
from tests.app.jobs import run

TEXT = """---
model: claude-opus-4-6
max_tokens: 1000
output: json
fields:
  label: [billing, delivery]
truth: {field: label, column: truth}
---
{{ document.text }}
"""


@pytest.fixture
def home(home: Home) -> Home:
    home.recipe = parse_recipe(TEXT, name="labels.md", catalog=catalog())
    return home


def write(home: Home, *rows: tuple[str, str, str]) -> None:
    lines = [f"{id_},{subject},{truth}" for id_, subject, truth in rows]
    home.write("t.manifest.csv", "\n".join(["id,subject,truth", *lines]) + "\n")


def test_the_truth_is_kept_and_never_sent(home: Home) -> None:
    write(home, ("1", "Invoice twice", "billing"), ("2", "Where is it", ""))
    home.see()
    assert {path: each.content.truth for path, each in home.documents().items()} == {
        "1": "billing",
        "2": None,
    }
    requests = Requests(home.deps, home.recipe)
    for document, content in read_contents(home.deps, home.documents().values(), home.recipe):
        made = requests.make(document, content, CustomId("c"))
        assert isinstance(made, tuple)
        prompt = json.loads(made[1])["params"]["messages"][0]["content"]
        assert "subject: " in prompt
        assert "billing" not in prompt
        assert "truth" not in prompt


def test_a_corrected_truth_is_not_paid_for(home: Home) -> None:
    write(home, ("1", "Invoice twice", "delivery"))
    home.see()
    run(home)
    write(home, ("1", "Invoice twice", "billing"))
    home.see()
    run(home)
    document = home.documents()["1"]
    assert document.status is DocumentStatus.REPORTED
    assert document.content.truth == "billing"
    assert home.requested() == 1


def test_a_prompt_that_uses_the_truth_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"r\.md:7: truth: the prompt uses the column truth"):
        parse_recipe(TEXT + "{{ truth }}\n", name="r.md", catalog=catalog())
