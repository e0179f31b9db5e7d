"""`docmill run` by a recipe with fields: reports of each kind, and tables of the whole job."""

import csv
import json
from pathlib import Path

import pytest
from arro3.io import read_parquet

from tests.handlers.cli.command import Docmill, Provider, failures, write_documents

QUICK = ("--poll-interval", "0.05", "--yes")
RECIPE = """---
model: claude-opus-4-6
max_tokens: 1000
output: json
fields:
  score: {type: integer, minimum: 0, maximum: 100}
  risk: [low, medium, high]
  parties: {type: array, items: string}
---
Review it.

{{ document.text }}
"""
TABLES = ("results.csv", "results.jsonl", "results.parquet")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    found = tmp_path / "review.md"
    found.write_text(RECIPE)
    return found


def test_a_folder_becomes_json_reports_and_a_table_in_three_formats(
    tmp_path: Path, docmill: Docmill, recipe: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_documents(folder, 12)
    done = docmill("run", folder, "--out", out, "--recipe", recipe, *QUICK)
    assert (done.status, done.err) == (0, "")
    reports = {path.name: json.loads(path.read_text()) for path in out.glob("*.txt.json")}
    assert len(reports) == 12
    with (out / "results.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    table = read_parquet(out / "results.parquet").read_all()
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert [row["document"] for row in rows] == sorted(name[:-5] for name in reports)
    assert table.column("score").to_pylist() == [line["score"] for line in lines]
    assert table.column("parties").to_pylist() == [line["parties"] for line in lines]
    for row, line in zip(rows, lines, strict=True):
        answer = reports[f"{row['document']}.json"]["answer"]
        assert answer == {name: line[name] for name in answer}
        assert (int(row["score"]), row["risk"]) == (answer["score"], answer["risk"])
        assert json.loads(row["parties"]) == answer["parties"]


def test_running_again_pays_nothing_and_leaves_the_tables_as_they_are(
    tmp_path: Path, docmill: Docmill, provider: Provider, recipe: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_documents(folder, 3)
    command = ("run", folder, "--out", out, "--recipe", recipe, *QUICK)
    assert docmill(*command).status == 0
    before = [(out / name).read_bytes() for name in TABLES]
    assert docmill(*command).status == 0
    assert [(out / name).read_bytes() for name in TABLES] == before
    assert set(provider.requested().values()) == {1}


def test_another_output_is_for_what_comes_and_what_is_there_stays(
    tmp_path: Path, docmill: Docmill, provider: Provider, recipe: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_documents(folder, 2)
    command = ("run", folder, "--out", out, "--recipe", recipe, *QUICK)
    assert docmill(*command).status == 0
    recipe.write_text(RECIPE.replace("output: json", "output: html"))
    (folder / "doc-001.txt").write_text("something else")
    assert docmill(*command).status == 0
    assert {path.name for path in out.glob("doc-*")} == {"doc-000.txt.json", "doc-001.txt.html"}
    assert "<th>score</th>" in (out / "doc-001.txt.html").read_text()
    lines = (out / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["document"] for line in lines] == ["doc-000.txt", "doc-001.txt"]
    (out / "doc-000.txt.json").unlink()
    assert docmill(*command).status == 1
    assert [line["type"] for line in failures(out)] == ["report_missing"]


def test_invalid_answers_are_rows_of_failures_with_the_reason(
    tmp_path: Path, docmill: Docmill, provider: Provider, recipe: Path
) -> None:
    provider.running.simulator.faults.invalid_rate = 1.0
    folder, out = tmp_path / "in", tmp_path / "out"
    write_documents(folder, 2)
    done = docmill("run", folder, "--out", out, "--recipe", recipe, "--max-attempts", "2", *QUICK)
    assert done.status == 1
    found = failures(out)
    assert {(line["type"], line["attempts"]) for line in found} == {("invalid_output", 2)}
    assert set(provider.requested().values()) == {2}
    provider.running.simulator.faults.invalid_rate = 0.0
    assert docmill("retry", out, "--yes").status == 0
    assert len((out / "results.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_somebodys_is_not_written_over(
    tmp_path: Path, docmill: Docmill, provider: Provider, recipe: Path, name: str
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_documents(folder, 1)
    out.mkdir()
    (out / name).write_text("PAR1 or name,amount\nmine,1\n")
    done = docmill("run", folder, "--out", out, "--recipe", recipe, *QUICK)
    assert done.status == 2
    assert f"{name} is there and not docmill's" in done.err
    assert provider.batches() == 0
    assert (out / name).read_text().startswith("PAR1 or name")


def test_tables_of_docmills_are_written_over_where_the_state_is_gone(
    tmp_path: Path, docmill: Docmill, recipe: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_documents(folder, 1)
    assert docmill("run", folder, "--out", out, "--recipe", recipe, *QUICK).status == 0
    again = tmp_path / "again"
    again.mkdir()
    for name in TABLES:
        (again / name).write_bytes((out / name).read_bytes())
    assert docmill("run", folder, "--out", again, "--recipe", recipe, *QUICK).status == 0


def test_check_says_the_fields_with_their_columns_and_shows_the_schema(
    tmp_path: Path, docmill: Docmill, recipe: Path
) -> None:
    document = tmp_path / "doc.txt"
    document.write_text("text")
    shown = docmill("recipes", "check", recipe, document).out
    assert "as json; 3 fields: score (integer), risk (text), parties (list)" in shown
    assert '"additionalProperties": false' in shown
    [told] = [json.loads(docmill("recipes", "check", recipe, "--json").out)]
    assert told["output"] == "json"
    assert told["fields"] == {"score": "integer", "risk": "text", "parties": "list"}


def test_the_lines_that_a_new_recipe_offers_are_a_recipe(tmp_path: Path, docmill: Docmill) -> None:
    mine = tmp_path / "mine.md"
    docmill("recipes", "new", mine)
    text = mine.read_text()
    start, end = text.index("# output:"), text.index("# system:")
    offered = "\n".join(line[2:] for line in text[start:end].splitlines())
    mine.write_text(f"{text[:start]}{offered}\n{text[end:]}")
    shown = docmill("recipes", "check", mine)
    assert "urgency (text), due (date), open_questions (list)" in shown.out, shown.err
