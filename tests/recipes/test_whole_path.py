"""Each built-in recipe from its samples to reports and tables, on the laptop."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.builtin import builtin_recipes, catalog
from shared.app.sightings import is_document
from shared.domain.recipe import parse_recipe
from tests.handlers.cli.command import ROOT, Docmill, Provider, failures, summary

SAMPLES = Path("events/documents")
QUICK = ("--poll-interval", "0.05", "--yes")
LABELS = Path("classification/tickets.manifest.csv")


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def expected(name: str) -> set[str]:
    """The documents that the samples of a recipe are, by the paths they have."""
    folder = SAMPLES / name
    paths: set[str] = set()
    for file in folder.rglob("*"):
        if not file.is_file() or not is_document(str(file.relative_to(folder))):
            continue
        if file.name.endswith(".manifest.csv"):
            with file.open(encoding="utf-8", newline="") as rows:
                paths |= {row["id"] for row in csv.DictReader(rows)}
        else:
            paths.add(str(file.relative_to(folder)))
    recipe = parse_recipe(builtin_recipes()[name], name=name, catalog=catalog())
    values = recipe.each.values if recipe.each else None
    return {f"{path}.{value}" for path in paths for value in values} if values else paths


def run(docmill: Docmill, name: str, out: Path) -> str:
    done = docmill("run", SAMPLES / name, "--recipe", name, "--out", out, *QUICK)
    assert done.status == 0, done.err + done.out
    return done.out


def rows(out: Path, name: str) -> list[dict[str, Any]]:
    """A table's rows."""
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in (out / name).read_text("utf-8").splitlines()]
    text = (out / name).read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("name", list(builtin_recipes()))
def test_samples_become_reports_and_rows(name: str, tmp_path: Path, docmill: Docmill) -> None:
    run(docmill, name, tmp_path)
    recipe = parse_recipe(builtin_recipes()[name], name=name, catalog=catalog())
    documents = expected(name)
    assert len(documents) >= 2
    for path in documents:
        report = (tmp_path / f"{path}{recipe.form.suffix}").read_text(encoding="utf-8")
        assert json.dumps(path, ensure_ascii=False) in report
    found = rows(tmp_path, "results.jsonl")
    assert {row["document"] for row in found} == documents
    assert len(rows(tmp_path, "results.csv")) == len(documents)
    for row in found:
        assert row.keys() >= recipe.form.fields.keys()
        assert row["model"] == recipe.model
    assert failures(tmp_path) == []


def test_labels_are_set_beside_the_truth(tmp_path: Path, docmill: Docmill) -> None:
    said = run(docmill, "classification", tmp_path)
    found = {row["document"]: row["label"] for row in rows(tmp_path, "results.jsonl")}
    with (SAMPLES / LABELS).open(encoding="utf-8", newline="") as given:
        truth = {row["id"]: row["truth"] for row in csv.DictReader(given)}
    right = sum(found[path] == label for path, label in truth.items())
    table = rows(tmp_path, "confusion.csv")
    assert sum(int(row["total"]) for row in table[:-1]) == len(truth)
    for row in table[:-1]:
        for label in set(truth.values()):
            pair = (row["truth \\ answer"], label)
            assert int(row[label]) == sum((t, found[path]) == pair for path, t in truth.items())
    share = f"{100 * right / len(truth):.1f}%"
    assert f"label right in {right} of {len(truth)} ({share})" in said
    assert summary(tmp_path)["truth"]["right"] == right


def test_a_label_outside_the_list_fails_and_shows_beside_the_truth(
    tmp_path: Path, docmill: Docmill, provider: Provider
) -> None:
    provider.running.simulator.faults.invalid_rate = 1.0
    rows_in = tmp_path / "t.manifest.csv"
    rows_in.write_text("id,text,truth\n1,Where is it,delivery_status\n2,Thanks,\n")
    out = tmp_path / "out"
    done = docmill(
        *("run", rows_in, "--recipe", "classification", "--out", out, *QUICK),
        *("--max-attempts", "1"),
    )
    assert done.status == 1
    assert [each["type"] for each in failures(out)] == ["invalid_output", "invalid_output"]
    table = rows(out, "confusion.csv")
    assert [row["(no answer)"] for row in table if row["total"] == "1"] == ["1"]
    assert "label: no answer has a truth beside it" in done.out


def test_a_translation_comes_in_each_language_and_another_one_costs_only_itself(
    tmp_path: Path, docmill: Docmill, provider: Provider
) -> None:
    out, mine = tmp_path / "out", tmp_path / "mine.md"
    text = builtin_recipes()["translation"]
    mine.write_text(text, encoding="utf-8")
    words = ("run", SAMPLES / "translation", "--recipe", mine, "--out", out, *QUICK)
    assert docmill(*words).status == 0
    assert len(expected("translation")) == 6
    mine.write_text(text.replace("ja-JP]", "ja-JP, nl-NL]"), encoding="utf-8")
    assert docmill(*words).status == 0
    assert (out / "app-messages.json.nl-NL.md").is_file()
    assert sum(provider.requested().values()) == 8


def test_what_a_recipe_would_send_can_be_looked_at(tmp_path: Path, docmill: Docmill) -> None:
    for name in builtin_recipes():
        for sample in filter(Path.is_file, (SAMPLES / name).rglob("*")):
            shown = docmill("recipes", "check", name, sample)
            assert shown.status == 0, shown.err
            assert shown.out.startswith(f"{name} is fine: ")
            assert "--- user" in shown.out
