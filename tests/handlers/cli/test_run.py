"""`docmill run` from documents to reports: what comes out, what is said, and with which status."""

import json
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from shared.adapters.builtin import catalog
from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.faults import Call, Fault
from shared.domain.recipe import parse_recipe
from tests.handlers.cli.command import (
    Docmill,
    Provider,
    failures,
    line_with,
    reports,
    summary,
    write_documents,
)

QUICK = ("--poll-interval", "0.05", "--recipe")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    found = tmp_path / "review.md"
    found.write_text(
        "---\nmodel: claude-opus-4-6\nmax_tokens: 1000\n---\nReview it.\n\n{{ document.text }}\n"
    )
    return found


def header(report: Path) -> dict[str, object]:
    """The YAML head of a report."""
    found = yaml.safe_load(report.read_text().split("---\n")[1])
    assert isinstance(found, dict)
    return found


def test_every_document_has_its_report_and_a_row_its_own(
    tmp_path: Path, docmill: Docmill, provider: Provider, recipe: Path
) -> None:
    folder = tmp_path / "in"
    write_documents(folder / "legal", 2)
    (folder / 'été "neu" 数据.txt').write_text("Grüße.\n")
    (folder / "rows.jsonl").write_text('{"id": "row/1", "text": "a"}\n{"id": "r2", "text": "b"}\n')
    out = tmp_path / "out"
    done = docmill("run", folder, "--out", out, *QUICK, recipe)
    assert (done.status, done.err) == (0, "")
    assert reports(out) == {
        "legal/doc-000.txt.md",
        "legal/doc-001.txt.md",
        'été "neu" 数据.txt.md',
        "row/1.md",
        "r2.md",
    }
    head = header(out / "legal/doc-000.txt.md")
    assert list(head) == [
        "document",
        "model",
        "custom_id",
        "batch",
        "correlation_id",
        "input_tokens",
        "cache_write_tokens",
        "cache_read_tokens",
        "output_tokens",
        "cost_usd",
        "stop_reason",
        "truncated",
        "text_digest",
    ]
    assert head["document"] == "legal/doc-000.txt"
    assert str(head["custom_id"]).startswith("legal-doc-000-txt-")
    assert str(head["batch"]).startswith("msgbatch_")
    assert header(out / 'été "neu" 数据.txt.md')["document"] == 'été "neu" 数据.txt'
    assert (out / "failures.jsonl").read_text() == ""
    assert summary(out)["documents"] == {
        "total": 5,
        "waiting": 0,
        "in_batch": 0,
        "reported": 5,
        "failed": 0,
    }
    assert done.out.splitlines()[-1].startswith("5 of 5 documents reported; cost $")
    assert "simulated" not in done.out
    assert sorted(provider.requested().values()) == [1] * 5


def test_running_again_submits_nothing_and_takes_up_what_is_new_or_changed(
    tmp_path: Path, docmill: Docmill, provider: Provider, recipe: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    names = write_documents(folder, 4)
    command = ("run", folder, "--out", out, *QUICK, recipe, "--json")
    assert docmill(*command).status == 0
    before = (out / "doc-000.txt.md").stat().st_mtime_ns
    again = docmill(*command)
    assert (again.status, provider.batches()) == (0, 1)
    (folder / "doc-001.txt").write_text("It reads otherwise now.\n")
    (folder / "extra.txt").write_text("Somebody added this.\n")
    assert docmill(*command).status == 0
    expected = dict.fromkeys(names, 1) | {"doc-001-txt": 2, "extra-txt": 1}
    assert provider.requested() == expected
    assert (out / "doc-000.txt.md").stat().st_mtime_ns == before
    assert "extra.txt.md" in reports(out)


def test_some_failures_give_one_and_are_written_down_until_they_are_mended(
    tmp_path: Path, docmill: Docmill, recipe: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_documents(folder, 2)
    (folder / "empty.txt").write_text("")
    (folder / "scan.pdf.txt").write_bytes(b"\x00\x01\x02\xff\xfe\x00\x89" * 50)
    command = ("run", folder, "--out", out, *QUICK, recipe)
    done = docmill(*command)
    assert done.status == 1
    assert len(reports(out)) == 2
    assert "2 failed (why: " in done.out.splitlines()[-1]
    found = {line["path"]: line for line in failures(out)}
    assert set(found) == {"empty.txt", "scan.pdf.txt"}
    assert set(found["empty.txt"]) == {
        "path",
        "custom_id",
        "type",
        "message",
        "attempts",
        "retryable",
        "correlation_id",
    }
    (folder / "empty.txt").write_text("Not any more.\n")
    assert docmill(*command).status == 1
    assert [line["path"] for line in failures(out)] == ["scan.pdf.txt"]


def test_json_is_all_that_standard_output_holds(
    tmp_path: Path, docmill: Docmill, recipe: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_documents(folder, 3)
    (folder / "empty.txt").write_text("")
    done = docmill("run", folder, "--out", out, *QUICK, recipe, "--json")
    assert (done.status, done.err) == (1, "")
    events = [event["event"] for event in done.events]
    for name in ("taken_in", "estimated", "batch_submitted", "batch_ended", "batch_collected"):
        assert name in events
    assert "note" not in events
    first, last = done.events[0], done.events[-1]
    times = [datetime.fromisoformat(event["at"]) for event in done.events]
    assert times == sorted(times)
    assert first | {"at": ""} == {
        "event": "started",
        "at": "",
        "recipe": "review.md",
        "model": "claude-opus-4-6",
        "out": str(out),
        "simulated": False,
    }
    assert (last["event"], last["exit_status"]) == ("finished", 1)
    assert (last["reported"], last["failed"], last["requests_processing"]) == (3, 1, 0)
    amounts = [v for event in done.events for name, v in event.items() if name.endswith("_usd")]
    assert len(amounts) >= 4
    assert all(isinstance(amount, float | int) and amount > 0 for amount in amounts[-1:])
    assert not any(isinstance(amount, str) for amount in amounts)
    assert last["cost_usd"] == summary(out)["cost_usd"]


def test_lines_say_recipe_model_and_price_first_and_then_where_the_job_stands(
    tmp_path: Path, docmill: Docmill, provider: Provider, recipe: Path
) -> None:
    write_documents(tmp_path / "in", 1)
    provider.running.simulator.settings = SimulatorSettings(duration_s=600)
    command = ("run", tmp_path / "in", "--out", tmp_path / "out", *QUICK, recipe)
    with docmill.start(*command) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        standing = line_with(process, "processing 1 of 1")
    assert first.startswith("recipe review.md, claude-opus-4-6: 1 document, about ")
    assert "0 waiting, 1 in batches (processing 1 of 1), 0 reported, 0 failed" in standing
    again = docmill(*command, "--no-wait")
    assert again.status == 3
    assert "if each" not in again.out, "nothing waits to be submitted, so nothing is said of cost"


@pytest.mark.parametrize(("answer", "status"), [("n\n", 3), ("y\n", 0)])
def test_on_a_terminal_the_price_is_asked_about_and_a_no_submits_nothing(  # noqa: PLR0917 - fixtures
    tmp_path: Path, docmill: Docmill, provider: Provider, recipe: Path, answer: str, status: int
) -> None:
    write_documents(tmp_path / "in", 2)
    command = ("run", tmp_path / "in", "--out", tmp_path / "out", *QUICK, recipe)
    screen, code = docmill.at_terminal(*command, "--ask-above", 0, answers={"Go on?": answer})
    assert code == status
    assert "recipe review.md, claude-opus-4-6: 2 documents" in " ".join(screen.split())
    assert ("nothing was submitted" in screen) == (status == 3)
    assert provider.batches() == (status == 0)
    assert docmill(*command, "--yes").status == 0


def test_simulated_reports_say_so_and_so_does_the_last_line(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_documents(folder / ("a folder with quite a long name that must not be broken" * 2), 2)
    write_documents(folder, 1)
    docmill = Docmill({})
    command = ("run", folder, "--out", out, "--poll-interval", "0.1", "--simulate")
    done = docmill.alone(*command)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("docmill: using the bundled simulator")
    assert done.out.rstrip().endswith("(simulated: nothing was spent)")
    table = [line for line in done.out.splitlines() if line.startswith("a folder with")]
    assert len(table) == 1
    assert len(table[0].split("$")) == 3, "a group keeps its one line where output is no terminal"
    for report in reports(out):
        assert "Placeholder by docmill's simulator" in (out / report).read_text()
    real = docmill("run", folder, "--out", out, ANTHROPIC_API_KEY="x")
    assert real.status == 2
    assert "holds simulated reports" in real.said
    shown = docmill("status", out)
    assert shown.out.rstrip().endswith("(simulated: nothing was spent)")


def test_no_key_is_one_line(tmp_path: Path) -> None:
    write_documents(tmp_path / "in", 1)
    done = Docmill({})("run", tmp_path / "in", "--out", tmp_path / "out")
    assert done.status == 2
    assert "ANTHROPIC_API_KEY is not set" in done.said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "value"), [("ANTHROPIC_API_KEY", "two words"), ("ANTHROPIC_BASE_URL", "notaurl")]
)
def test_what_can_not_be_called_is_told_before_anything_is_begun(
    tmp_path: Path, docmill: Docmill, name: str, value: str
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_documents(folder, 1)
    command = ("run", folder, "--out", out, "--poll-interval", "0.05")
    done = docmill(*command, **{name: value})
    assert (done.status, done.out) == (2, "")
    assert name in done.said
    assert not out.exists()
    assert docmill(*command, "--simulate", **{name: value}).status == 0, "it isn't called"


def test_a_refused_key_is_one_line_and_loses_nothing(
    tmp_path: Path, docmill: Docmill, provider: Provider, recipe: Path
) -> None:
    write_documents(tmp_path / "in", 2)
    command = ("run", tmp_path / "in", "--out", tmp_path / "out", *QUICK, recipe)
    provider.running.simulator.faults.script.append(
        Fault(call=Call.CREATE, status=401, message="invalid x-api-key")
    )
    done = docmill(*command)
    assert done.status == 2
    assert "check ANTHROPIC_API_KEY: invalid x-api-key" in done.said
    assert "waits until" not in done.out
    shown = docmill("status", tmp_path / "out")
    assert "submitting is stopped: the key is refused" in shown.out
    assert "waits until" not in shown.out
    assert docmill(*command).status == 0
    assert set(provider.requested().values()) == {1}


def test_a_wrong_address_is_one_line_and_fails_nothing(
    tmp_path: Path, docmill: Docmill, provider: Provider, recipe: Path
) -> None:
    write_documents(tmp_path / "in", 2)
    out = tmp_path / "out"
    command = ("run", tmp_path / "in", "--out", out, *QUICK, recipe)
    wrong = {"ANTHROPIC_BASE_URL": f"{provider.running.base_url}/v1"}
    done = docmill(*command, "--json", **wrong)
    assert done.status == 2
    assert "check ANTHROPIC_BASE_URL" in done.said
    told = [event["event"] for event in done.events]
    assert told.count("batch_submitting") == 1, "it isn't tried again and again"
    assert "document_failed" not in told
    assert docmill("retry", out, **wrong).status == 2
    [standing] = docmill("status", out, "--json").events
    assert standing["documents"]["failed"] == 0
    assert standing["pause"]["reason"] == "access"
    assert docmill(*command).status == 0
    assert set(provider.requested().values()) == {1}


def test_a_folders_own_recipe_is_used_and_is_no_document(
    tmp_path: Path, docmill: Docmill, recipe: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_documents(folder, 1)
    recipe.rename(folder / "_recipe.md")
    model = parse_recipe((folder / "_recipe.md").read_text(), name="", catalog=catalog()).model
    for place, given in ((out, folder), (tmp_path / "second", folder / "doc-000.txt")):
        assert docmill("run", given, "--out", place, "--poll-interval", "0.05").status == 0
        assert reports(place) == {"doc-000.txt.md"}
        assert summary(place)["batches"][0]["model"] == model


def test_rows_are_grouped_by_a_column_that_one_of_them_has(
    tmp_path: Path, docmill: Docmill, recipe: Path
) -> None:
    rows = [{"id": "a", "text": "x"}, {"id": "b", "text": "y", "team": "north"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    command = ("run", tmp_path / "rows.jsonl", "--out", out, "--recipe", recipe)
    assert docmill(*command, "--group-by", "team", "--poll-interval", "0.05").status == 0
    assert set(summary(out)["groups"]) == {"", "north"}


def test_what_left_the_input_or_failed_by_the_recipe_is_no_failure_of_the_next_run(
    tmp_path: Path, docmill: Docmill, recipe: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_documents(folder, 1)
    (folder / "empty.md").write_text("")
    (folder / "rows.jsonl").write_text('{"id": "a"}\n')
    plain = recipe.read_text()
    recipe.write_text(plain.replace("{{ document.text }}", "{{ document.text }} {{ readme }}"))
    command = ("run", folder, "--out", out, "--recipe", recipe, "--poll-interval", "0.05")
    assert docmill(*command).status == 1
    assert {line["path"] for line in failures(out)} == {"doc-000.txt", "empty.md", "a"}
    (folder / "empty.md").unlink()
    recipe.write_text(plain)
    assert docmill(*command).status == 0
    assert failures(out) == []


def test_a_report_that_was_removed_is_told_and_made_again_by_retry(
    tmp_path: Path, docmill: Docmill, recipe: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_documents(folder, 2)
    command = ("run", folder, "--out", out, "--recipe", recipe, "--poll-interval", "0.05")
    assert docmill(*command).status == 0
    (out / "doc-001.txt.md").unlink()
    assert docmill(*command).status == 1
    assert [line["type"] for line in failures(out)] == ["report_missing"]
    assert docmill("retry", out).status == 0
    assert reports(out) == {"doc-000.txt.md", "doc-001.txt.md"}


def test_what_may_cost_too_much_is_held_by_name_and_released_by_more(
    tmp_path: Path, docmill: Docmill, provider: Provider, recipe: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_documents(folder, 2)
    command = ("run", folder, "--out", out, "--recipe", recipe, "--poll-interval", "0.05")
    done = docmill(*command, "--max-cost", "0.001")
    assert done.status == 1
    assert {line["path"]: line["type"] for line in failures(out)} == {
        "doc-000.txt": "held_by_max_cost",
        "doc-001.txt": "held_by_max_cost",
    }
    assert provider.requested() == {}
    assert "raise max_cost" in done.out
    assert docmill(*command, "--max-cost", "$5").status == 0
    assert failures(out) == []


@pytest.mark.parametrize("amount", ["much", "0", "-3", "nan", "1e99"])
def test_a_limit_that_is_no_amount_is_wrong_use(
    tmp_path: Path, docmill: Docmill, recipe: Path, amount: str
) -> None:
    folder = tmp_path / "in"
    write_documents(folder, 1)
    done = docmill("run", folder, "--out", tmp_path / "out", "--max-cost", amount)
    assert done.status == 2
    assert "no amount of US dollars" in done.said
    assert "must be above 0, and `--max-cost none` lifts the limit" in done.said


def test_reports_of_another_recipe_are_told_and_kept(
    tmp_path: Path, docmill: Docmill, recipe: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_documents(folder, 1)
    command = ("run", folder, "--out", out, "--recipe", recipe, "--poll-interval", "0.05")
    assert docmill(*command).status == 0
    done = docmill(*command, "--model", "claude-sonnet-5")
    assert done.status == 0
    assert "1 report made by another recipe or model" in done.out
