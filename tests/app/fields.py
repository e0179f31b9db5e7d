"""A recipe with fields, and what comes of it, read back."""

import csv
import io
import json
from typing import Any

from arro3.io import read_parquet

from shared.adapters.builtin import catalog
from shared.app.publish import publish
from shared.domain.recipe import Recipe, parse_recipe
from tests.app.home import JOB, Home

FIELDS = """
  score: {type: integer, minimum: 0, maximum: 100}
  risk: [low, medium, high]
  signed: {type: [string, null], format: date}
  parties: {type: array, items: string}
"""


def recipe(*, output: str = "json", fields: str = FIELDS, more: str = "") -> Recipe:
    """A recipe of some output with fields, or without."""
    below = f"fields:{fields}" if fields else ""
    return parse_recipe(
        f"---\nmodel: claude-opus-4-6\nmax_tokens: 1000\nmax_wait: 10m\noutput: {output}\n{below}"
        f"{more}\n---\nReview this.\n\n{{{{ document.text }}}}\n",
        name="recipe.md",
        catalog=catalog(),
    )


def tables(home: Home) -> list[dict[str, Any]]:
    """The rows of all three tables, which have to say the same."""
    publish(home.deps, JOB)
    output = home.root / "output"
    lines = [json.loads(line) for line in (output / "results.jsonl").read_text().splitlines()]
    text = (output / "results.csv").read_bytes().decode("utf-8-sig")
    cells = list(csv.DictReader(io.StringIO(text, newline="")))
    found = read_parquet((output / "results.parquet").read_bytes()).read_all()
    rows = [
        {name: found.column(name)[number].as_py() for name in found.column_names}
        for number in range(found.num_rows)
    ]
    assert [row["document"] for row in lines] == [row["document"] for row in rows]
    assert [row["document"] for row in lines] == [row["document"] for row in cells]
    for line, row in zip(lines, rows, strict=True):
        assert list(line) == list(row)
    return lines


def answer(home: Home, path: str) -> dict[str, Any]:
    """What the report of a document has of the answer."""
    found = json.loads((home.root / "output" / f"{path}.json").read_text())
    assert found["docmill"]["document"] == path
    value = found["answer"]
    assert isinstance(value, dict)
    return value
