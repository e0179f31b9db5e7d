import asyncio
import csv
import io

import pytest
from arro3.io import read_parquet

from shared.adapters.simulator.faults import Call
from shared.adapters.simulator.messages import Cut
from shared.app import row_parts
from shared.app.poll import poll
from shared.app.publish import publish
from shared.app.submit import submit
from shared.app.uploads import Upload, take_upload
from shared.ports.blobs import BlobStoreUnavailable
from tests.app.fields import answer, recipe, tables
from tests.app.home import JOB, Home
from tests.app.jobs import fill, run


@pytest.fixture(autouse=True)
def _fields(home: Home) -> None:
    home.recipe = recipe()


def parts(home: Home) -> list[str]:
    folder = home.root / "output" / ".docmill" / "rows"
    return sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []


def test_each_reported_document_has_a_row_with_what_its_report_says(home: Home) -> None:
    fill(home, 5, "x/")
    fill(home, 5, "y/")
    home.see()
    run(home)
    rows = tables(home)
    assert [row["document"] for row in rows] == sorted(home.documents())
    for row in rows:
        said = answer(home, row["document"])
        assert {name: row[name] for name in said} == said
    assert {row["group"] for row in rows} == {"x", "y"}
    total = sum(batch.totals.cost for batch in home.batches() if batch.totals)
    assert sum(row["cost_usd"] for row in rows) == pytest.approx(float(total))
    assert sum(row["output_tokens"] for row in rows) == sum(
        batch.totals.usage.output_tokens for batch in home.batches() if batch.totals
    )


def test_columns_are_typed(home: Home) -> None:
    home.recipe = recipe(
        fields="\n  n: integer\n  x: number\n  done: boolean\n  day: date\n  at: date-time\n"
        "  level: [1, 2]\n  found: {type: array, items: {type: object, properties: {f: text}}}\n"
        "  mixed: {anyOf: [integer, {type: array, items: text}]}\n"
    )
    fill(home, 1)
    home.see()
    run(home)
    publish(home.deps, JOB)
    found = read_parquet((home.root / "output" / "results.parquet").read_bytes()).read_all()
    types = {name: str(found.schema.field(name).type) for name in found.column_names}
    assert "Int64" in types["n"]
    assert "Int64" in types["level"]
    assert "Float64" in types["x"]
    assert "Float64" in types["cost_usd"]
    assert "Boolean" in types["done"]
    assert "Date32" in types["day"]
    assert "Timestamp" in types["at"]
    assert "List(Struct" in types["found"]
    assert "Utf8" in types["mixed"]


def test_a_document_reported_anew_has_its_new_row_only(home: Home) -> None:
    fill(home, 3)
    home.see()
    run(home)
    before = {row["document"]: row for row in tables(home)}
    home.write("d1.md", "another text altogether")
    home.see()
    asyncio.run(submit(home.deps))
    assert [row["document"] for row in tables(home)] == ["d0.md", "d2.md"]
    run(home)
    after = {row["document"]: row for row in tables(home)}
    assert list(after) == ["d0.md", "d1.md", "d2.md"]
    assert after["d0.md"] == before["d0.md"]
    assert {name: after["d1.md"][name] for name in answer(home, "d1.md")} == answer(home, "d1.md")


def test_a_report_without_fields_takes_the_row_of_the_one_before(home: Home) -> None:
    fill(home, 2)
    home.see()
    run(home)
    with_fields, home.recipe = home.recipe, recipe(output="markdown", fields="")
    home.write("d0.md", "another text")
    home.see()
    run(home)
    home.recipe = with_fields
    assert [row["document"] for row in tables(home)] == ["d1.md"]


def test_columns_are_those_of_the_recipe_as_it_is_now(home: Home) -> None:
    fill(home, 2)
    home.see()
    run(home)
    home.recipe = recipe(fields="\n  risk: integer\n  score: number\n  new: text\n")
    home.write("d0.md", "another text")
    home.see()
    run(home)
    first, second = tables(home)
    assert list(first)[-3:] == ["risk", "score", "new"]
    assert isinstance(first["new"], str)
    assert (second["risk"], second["new"]) == (None, None)
    assert second["score"] == answer(home, "d1.md")["score"]


def test_a_reading_that_was_cut_leaves_a_whole_part(home: Home) -> None:
    fill(home, 9)
    home.see()
    asyncio.run(submit(home.deps))
    home.fault(Call.RESULTS, cut=Cut.LINE_END, lines=4, times=1)
    home.later(minutes=2)
    asyncio.run(poll(home.deps))
    asyncio.run(home.collect_all())
    assert parts(home) == []
    assert tables(home) == []
    run(home)
    assert len(parts(home)) == 1
    assert len(tables(home)) == 9


def test_a_part_is_there_before_its_batch_is_closed_and_the_same_if_read_again(home: Home) -> None:
    fill(home, 3)
    home.see()
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    asyncio.run(poll(home.deps))
    swap = home.store.swap_batch

    def dies(batch: object, **how: object) -> object:
        if getattr(batch, "collected_at", None) is not None:
            raise KeyboardInterrupt
        return swap(batch, **how)  # type: ignore[arg-type]

    home.store.swap_batch = dies  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(home.collect_all())
    home.store.swap_batch = swap  # type: ignore[method-assign]
    [part] = (home.root / "output" / ".docmill" / "rows").iterdir()
    written = part.read_bytes()
    home.later(minutes=20)
    run(home)
    assert part.read_bytes() == written
    assert len(tables(home)) == 3


@pytest.mark.parametrize("held", [0, 1_000, 32 << 20])
def test_many_parts_are_made_one_and_nothing_is_lost_or_there_twice(
    home: Home, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr(row_parts, "MOST_PARTS", 3)
    monkeypatch.setattr(row_parts, "_HELD_BYTES", held)
    for number in range(11):
        home.write(f"g{number}/d.md", f"text {number}")
        home.write("again.md", f"version {number}")
        home.see()
        run(home)
    rows = tables(home)
    assert len(parts(home)) <= 3
    assert [row["document"] for row in rows] == sorted(home.documents())
    [again] = [row for row in rows if row["document"] == "again.md"]
    assert {name: again[name] for name in answer(home, "again.md")} == answer(home, "again.md")
    assert tables(home) == rows
    kept = (home.root / "output" / ".docmill" / "rows").iterdir()
    assert sum(file.read_bytes().count(b'"again.md"') for file in kept) < 11


def test_rows_that_lie_in_two_parts_count_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        home.write(f"g{number}/d.md", f"text {number}")
    home.see()
    run(home)
    rows = tables(home)
    monkeypatch.setattr(row_parts, "MOST_PARTS", 2)
    reports = home.deps.reports
    monkeypatch.setattr(reports, "delete", lambda key: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        publish(home.deps, JOB)
    monkeypatch.undo()
    assert len(parts(home)) == 4
    assert tables(home) == rows


def test_parts_that_go_while_they_are_read_are_looked_for_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home, 2)
    home.see()
    run(home)
    found = row_parts._parts(home.deps, JOB)
    gone = [(1, f"{key}.gone") for _, key in found]
    answers = iter([gone, found])
    monkeypatch.setattr(row_parts, "_parts", lambda *_: list(next(answers)))
    assert len(tables(home)) == 2
    monkeypatch.setattr(row_parts, "_parts", lambda *_: gone)
    with pytest.raises(BlobStoreUnavailable):
        publish(home.deps, JOB)


def test_a_job_without_a_report_yet_has_tables_with_its_columns(home: Home) -> None:
    assert tables(home) == []
    text = (home.root / "output" / "results.csv").read_bytes().decode("utf-8-sig")
    [head] = csv.reader(io.StringIO(text))
    assert head[:2] == ["document", "group"]
    assert head[-4:] == ["score", "risk", "signed", "parties"]
    parquet = read_parquet((home.root / "output" / "results.parquet").read_bytes()).read_all()
    assert parquet.column_names == head


def test_publishing_twice_leaves_the_same_bytes(home: Home) -> None:
    fill(home, 4)
    home.see()
    run(home)
    tables(home)
    names = ("results.csv", "results.jsonl", "results.parquet")
    before = [(home.root / "output" / name).read_bytes() for name in names]
    tables(home)
    assert [(home.root / "output" / name).read_bytes() for name in names] == before


def test_a_recipe_that_is_uploaded_with_other_fields_has_the_tables_made_anew(home: Home) -> None:
    fill(home, 1)
    home.see()
    run(home)
    publish(home.deps, JOB)
    assert list(home.store.stale_jobs()) == []
    home.write(f"{JOB}/_recipe.md", "other fields")
    take_upload(home.deps, Upload(key=f"{JOB}/_recipe.md"))
    assert [job.name for job in home.store.stale_jobs()] == [JOB]
