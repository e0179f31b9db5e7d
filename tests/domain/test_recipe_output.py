import pytest

from shared.adapters.builtin import catalog
from shared.domain.answer_form import AnswerForm, Output
from shared.domain.recipe import Recipe, RecipeError, parse_recipe

MODEL = "model: claude-opus-4-6"


def parsed(head: str) -> Recipe:
    text = f"---\n{MODEL}\n{head}\n---\n{{{{ document.text }}}}\n"
    return parse_recipe(text, name="r.md", catalog=catalog())


def fields(lines: str, *, output: str = "json") -> Recipe:
    return parsed(f"output: {output}\nfields:\n  {lines}")


@pytest.mark.parametrize(
    ("output", "suffix"),
    [("markdown", ".md"), ("json", ".json"), ("text", ".txt"), ("html", ".html")],
)
def test_each_output_has_its_suffix(output: str, suffix: str) -> None:
    recipe = fields("score: integer", output=output)
    assert (recipe.output, recipe.form.suffix) == (Output(output), suffix)


def test_short_forms_are_spelled_out() -> None:
    recipe = parsed(
        "output: json\nfields:\n  score: integer\n  risk: [low, high]\n  signed: date\n"
        "  name: text\n  lines: {type: array, items: {type: object, properties: {at: integer}}}"
    )
    assert recipe.form.fields == {
        "score": {"type": "integer"},
        "risk": {"enum": ["low", "high"]},
        "signed": {"type": "string", "format": "date"},
        "name": {"type": "string"},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"at": {"type": "integer"}},
                "required": ["at"],
                "additionalProperties": False,
            },
        },
    }


def test_a_null_without_quotes_is_a_type_among_types() -> None:
    recipe = fields("name: {type: [string, null]}")
    assert recipe.form.fields == {"name": {"type": ["string", "null"]}}


def test_the_request_asks_for_the_fields_as_structured_output() -> None:
    recipe = parsed(
        "output: json\nfields:\n  score: {type: integer, minimum: 0, description: Overall}\n"
        "params:\n  output_config: {effort: low}"
    )
    config = recipe.sent_params["output_config"]
    assert config["effort"] == "low"
    assert config["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {"score": {"type": "integer", "description": "Overall\n\n{minimum: 0}"}},
            "required": ["score"],
            "additionalProperties": False,
        },
    }


def test_with_another_output_the_report_comes_before_the_fields() -> None:
    schema = fields("score: integer", output="markdown").form.sent_format["schema"]
    assert list(schema["properties"]) == schema["required"] == ["report", "score"]


def test_without_fields_no_format_is_asked_for() -> None:
    recipe = parsed("output: html")
    assert dict(recipe.sent_params) == {}
    assert recipe.fingerprint == parsed("output: text").fingerprint == parsed("").fingerprint


def test_the_fingerprint_changes_with_what_is_asked_for() -> None:
    prints = {
        fields("score: integer").fingerprint,
        fields("score: integer", output="markdown").fingerprint,
        fields("score: number").fingerprint,
        fields("score: {type: integer, minimum: 0}").fingerprint,
        parsed("").fingerprint,
    }
    assert len(prints) == 5


def test_a_form_is_unpacked_as_it_was_packed() -> None:
    form = fields("score: integer\n  risk: [low, high]", output="html").form
    assert AnswerForm.unpacked(form.packed()) == form
    assert AnswerForm.unpacked(b"") == AnswerForm()
    assert AnswerForm().packed() == b""


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("output: json", "r.md:3: output: json needs fields: .* fields: .score: integer"),
        ("output: pdf", "r.md:3: output: 'pdf' is none of: markdown, json, text, html"),
        ("output: [text]", "r.md:3: output: .'text'. is none of"),
        ("fields: [a]", "r.md:3: fields: is no mapping"),
        ("fields:", "r.md:3: fields: has no value"),
        (
            "fields:\n  a: string\nparams:\n  output_config: {format: {}}",
            "r.md:6: .*from 'fields:'",
        ),
        ("fields:\n  a: string\nparams:\n  output_config: 3", "r.md:6: .*3 is no mapping"),
        ("fields:\n  'a b': text", "r.md:4: fields: 'a b' makes no good column"),
        ("fields:\n  model: text", "r.md:4: fields: 'model' is a column of docmill's own"),
        ("fields:\n  report: text", "r.md:4: fields: 'report' is what the report's text"),
        ("fields:\n  A: text\n  a: text", "r.md:5: fields.a: differs from A in capitals only"),
        ("fields:\n  a:", "r.md:4: fields.a: None is no schema"),
        ("fields:\n  a: intger", "r.md:4: fields.a: 'intger' is no type"),
        ("fields:\n  a: {type: intger}", "r.md:4: fields.a.type: 'intger' is no type"),
        ("fields:\n  a: {type: [null]}", "r.md:4: fields.a.type: only null"),
        ("fields:\n  a: {tpe: string}", "fields.a.tpe: is no keyword.*did you mean 'type'"),
        ("fields:\n  a: {oneOf: [string]}", "fields.a.oneOf: .*use anyOf"),
        ("fields:\n  a: {description: x}", "fields.a: says no type"),
        ("fields:\n  a: [yes, no]", "fields.a.enum: YAML reads yes"),
        ("fields:\n  a: [low, low]", "fields.a.enum: names each label once"),
        ("fields:\n  a: []", "fields.a.enum: takes a list of labels"),
        ("fields:\n  a: {type: integer, enum: [low]}", "fields.a: no answer can be 'low'"),
        ("fields:\n  a: {type: integer, minimum: x}", 'fields.a.minimum: "x" is not of type'),
        ("fields:\n  a: {type: integer, minimum: 5, maximum: 1}", "fields.a.minimum: 5 is above"),
        ("fields:\n  a: {type: integer, minLength: 1}", "fields.a.minLength: says nothing of"),
        ("fields:\n  a: {type: string, pattern: '(?=a)b'}", "fields.a.pattern: .*not a"),
        ("fields:\n  a: {type: string, format: postcode}", "fields.a.format: 'postcode' is not"),
        ("fields:\n  a: {type: array}", "fields.a: a list without items"),
        ("fields:\n  a: {type: object}", "fields.a: an object without properties"),
        (
            "fields:\n  a: {type: object, properties: {b: text}, required: [c]}",
            "fields.a.required: names some of: b",
        ),
        ("fields:\n  a: {anyOf: [integer, null], minimum: 1}", "fields.a.minimum: goes into"),
        (
            "fields:\n" + "\n".join(f"  a{n}: {{type: [string, null]}}" for n in range(17)),
            "r.md:3: fields: have 17 places with more than one type",
        ),
        (
            "fields:\n" + "\n".join(f"  a{n}: text" for n in range(101)),
            "r.md:3: fields: are 101; at most 100",
        ),
        (
            "fields:\n  a: {type: string, description: " + "x" * 16_000 + "}",
            "r.md:3: fields: have 16,.* bytes as a JSON Schema",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_its_place(head: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        parsed(head)
    assert "\n" not in str(caught.value)


def test_a_field_may_be_called_report_where_the_answer_has_no_other() -> None:
    assert list(fields("report: text").form.schema["properties"]) == ["report"]
