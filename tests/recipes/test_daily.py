"""Reports that a schedule asks for: each day's, and the days before aren't paid for again."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from shared.adapters.builtin import builtin_recipes
from tests.handlers.aws_home import Cloud
from tests.handlers.cli.command import ROOT, Docmill, Provider, summary
from tests.recipes.test_whole_path import rows

SAMPLES = ROOT / "events" / "documents"
DAYS = ("2026-11-23", "2026-11-24")
AREAS = ("finance", "operations", "sales")
JOB = "business-report"


def test_a_daily_run_reports_the_day_and_pays_for_no_other(
    tmp_path: Path, docmill: Docmill, provider: Provider
) -> None:
    figures, out = tmp_path / "figures", tmp_path / "reports"
    line = ("run", figures, "--recipe", JOB, "--out", out, "--yes", "--poll-interval", "0.05")
    before: dict[Path, bytes] = {}
    for number, day in enumerate(DAYS, 1):
        shutil.copytree(SAMPLES / JOB / day, figures / day)
        done = docmill(*line)
        assert done.status == 0, done.err
        reports = sorted(path.relative_to(out) for path in out.rglob("*.csv.md"))
        assert len(reports) == 3 * number
        assert {str(path) for path in reports} >= {f"{day}/{area}.csv.md" for area in AREAS}
        assert all((out / path).read_bytes() == data for path, data in before.items())
        before = {path: (out / path).read_bytes() for path in reports}
    assert docmill(*line).status == 0
    assert provider.batches() == 2
    assert set(provider.requested().values()) == {1}
    assert summary(out)["documents"]["reported"] == 6
    assert [row["document"] for row in rows(out, "results.csv")] == sorted(
        f"{day}/{area}.csv" for day in DAYS for area in AREAS
    )


def test_what_is_dropped_daily_is_submitted_by_the_stacks_own_schedule(aws: Cloud) -> None:
    at_once = builtin_recipes()[JOB].replace("group_by: date", "group_by: date\nmax_wait: 0")
    aws.upload({f"{JOB}/_recipe.md": at_once.encode()})
    begun = datetime.now(UTC).date()
    for number, day in enumerate(DAYS, 1):
        aws.upload(
            {
                f"{JOB}/{day}/{area}.csv": (SAMPLES / JOB / day / f"{area}.csv").read_bytes()
                for area in AREAS
            }
        )
        assert aws.take_uploads() == []
        found = aws.settle(JOB)
        assert found["documents"]["reported"] == 3 * number
        assert len(found["batches"]) == number
        assert len(aws.paid()) == 3 * number
    dates = {begun.isoformat(), datetime.now(UTC).date().isoformat()}
    assert {batch["group"] for batch in found["batches"]} <= dates
    assert {f"{DAYS[1]}/{area}.csv.md" for area in AREAS} <= aws.reports(JOB)


def test_labels_are_set_beside_the_truth_on_aws_too(aws: Cloud) -> None:
    rows_of = (SAMPLES / "classification" / "tickets.manifest.csv").read_bytes()
    aws.upload({"classification/tickets.manifest.csv": rows_of})
    assert aws.take_uploads() == []
    aws.upload({"classification/_READY": b""})
    assert aws.take_uploads() == []
    found = aws.settle("classification")
    assert found["documents"]["reported"] == 20
    assert found["truth"]["answered"] == 20
    table = aws.output_of("classification/confusion.csv").decode("utf-8-sig").splitlines()
    assert table[0].startswith("truth \\ answer,delivery_status,")
    assert sum(int(line.split(",")[-2]) for line in table[1:-1]) == 20


def test_a_dropped_document_comes_back_in_every_language(aws: Cloud) -> None:
    text = (SAMPLES / "translation" / "webhooks-quickstart.md").read_bytes()
    aws.upload({"translation/docs/webhooks.md": text})
    assert aws.take_uploads() == []
    aws.upload({"translation/_READY": b""})
    assert aws.take_uploads() == []
    assert aws.settle("translation")["documents"]["reported"] == 3
    assert aws.reports("translation") >= {
        f"docs/webhooks.md.{language}.md" for language in ("de-DE", "fr-FR", "ja-JP")
    }
