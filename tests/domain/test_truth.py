from typing import Any

import pytest

from shared.adapters.builtin import catalog
from shared.domain.recipe import Recipe, RecipeError, parse_recipe
from shared.domain.truth import Truth, label_text, labels_of, truth_in, withheld

HEAD = "---\nmodel: claude-opus-4-6\noutput: json\nfields:\n  label: [a, b]\n  note: text\n"


def recipe(truth: str) -> Recipe:
    text = f"{HEAD}{truth}---\n{{{{ document.text }}}}\n"
    return parse_recipe(text, name="r.md", catalog=catalog())


def test_truth_names_a_field_and_a_column() -> None:
    found = recipe("truth: {field: label, column: right}\n")
    assert found.truth == Truth(field="label", column="right", labels=("a", "b"))
    without = recipe("")
    assert without.truth is None
    assert without.fingerprint != found.fingerprint  # the column is withheld


@pytest.mark.parametrize(
    ("truth", "why"),
    [
        ("label", "r.md:7: truth: takes a field and a column"),
        ("{field: label}", "r.md:7: truth: takes a field and a column"),
        ("{field: label, column: 3}", "r.md:7: truth.column: 3 is no name"),
        ("{field: label, column: id}", "r.md:7: truth.column: id names the row"),
        ("{field: lable, column: t}", "truth.field: 'lable' is no field; there are: label, note"),
        ("{field: note, column: t}", "truth.field: note needs a list of labels"),
    ],
)
def test_what_truth_can_not_be_is_said(truth: str, why: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe(f"truth: {truth}\n")
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("schema", "labels"),
    [
        ({"enum": ["a", 2, None]}, ("a", "2")),
        ({"anyOf": [{"const": "a"}, {"const": "b"}, {"type": "null"}]}, ("a", "b")),
        ({"type": "boolean"}, ("true", "false")),
        ({"anyOf": [{"const": "a"}, {"type": "string"}]}, ()),
        ({"type": "string"}, ()),
    ],
)
def test_a_fields_labels_are_those_its_schema_lists(
    schema: dict[str, Any], labels: tuple[str, ...]
) -> None:
    assert labels_of(schema) == labels


def test_truths_and_answers_are_compared_as_a_table_has_them() -> None:
    assert [label_text(each) for each in (True, 2.0, 2, " a ", None)] == ["true", "2", "2", "a", ""]


def test_a_row_says_what_is_right_and_the_request_does_not() -> None:
    truth = Truth(field="label", column="t", labels=("a",))
    columns = {"id": "1", "text": "T", "t": "a"}
    assert truth_in(columns, truth) == "a"
    assert truth_in({"id": "1", "t": " "}, truth) is None
    assert truth_in(columns, None) is None
    assert withheld(dict(columns), truth) == {"id": "1", "text": "T"}
    assert withheld(dict(columns), None) == columns
