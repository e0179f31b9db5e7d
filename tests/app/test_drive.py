import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.adapters.simulator.faults import Call
from shared.app.drive import AccessRefused, drive
from shared.app.publish import publish
from shared.domain.ids import ProviderId
from shared.domain.policy import Policy
from shared.ports.batch_api import Body, ProviderBatch
from shared.ports.blobs import BlobStoreUnavailable
from tests.app.home import JOB, Home
from tests.app.jobs import IN_BATCH, REPORTED, fill, only, run


def test_every_document_becomes_a_report(home: Home) -> None:
    fill(home)
    assert home.see().new == 5
    run(home)
    assert only(home, REPORTED)
    report = home.report("d0.md")
    assert report is not None
    assert "Placeholder" in report
    assert "## Risks" in report
    assert home.requested() == 5


def test_a_finished_job_run_again_submits_nothing(home: Home) -> None:
    fill(home)
    home.see()
    run(home)
    assert home.see().unchanged == 5
    run(home)
    assert home.requested() == 5


def test_only_what_is_new_or_changed_is_submitted(home: Home) -> None:
    fill(home)
    home.see()
    run(home)
    home.write("d0.md", "# Another\n")
    home.write("new.md", "# New\n")
    taken = home.see()
    assert (taken.new, taken.changed, taken.unchanged) == (1, 1, 4)
    run(home)
    assert home.requested() == 7
    assert only(home, REPORTED)


def test_leaving_early_still_collects_what_has_ended(home: Home) -> None:
    fill(home, 2)
    home.see()

    def leave() -> None:
        asyncio.run(drive(home.deps, sleep=home.sleep, waiting=False))

    leave()
    assert only(home, IN_BATCH)
    home.later(minutes=3)
    leave()
    assert only(home, REPORTED)


def test_failures_and_summary_are_always_the_current_truth(home: Home) -> None:
    home.write("empty.md", "")
    fill(home, 2)
    home.see()
    run(home)
    publish(home.deps, JOB)
    lines = (home.root / "output" / "failures.jsonl").read_text().splitlines()
    assert [json.loads(line)["path"] for line in lines] == ["empty.md"]
    home.write("empty.md", "now with text")
    home.see()
    run(home)
    publish(home.deps, JOB)
    assert (home.root / "output" / "failures.jsonl").read_text() == ""
    summary = json.loads((home.root / "output" / "summary.json").read_text())
    assert summary["documents"]["reported"] == 3
    assert summary["cost_usd"] * 2 == pytest.approx(summary["cost_without_batches_usd"])


@pytest.mark.parametrize("call", [Call.CREATE, Call.RETRIEVE, Call.RESULTS, Call.LIST])
@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_stops_the_run_at_whatever_call(
    home: Home, call: Call, status: int
) -> None:
    for number in range(10):
        fill(home, 1, f"g{number}/")
    home.see()
    home.fault(call, status=status, times=None)
    if call is Call.LIST:
        home.lose_answer()
    with pytest.raises(AccessRefused):
        run(home)
    assert home.simulator.calls[call] <= 4, "those under way"
    home.simulator.faults.script.clear()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 10


def test_first_reports_come_while_the_last_batches_are_submitted(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.app.drive._BESIDE", timedelta(milliseconds=5))
    for number in range(20):
        fill(home, 1, f"g{number:02}/")
    home.see()
    create, reports = home.deps.api.create, []

    async def slow(body: Body, *, betas: Sequence[str]) -> ProviderBatch:
        reports.append(len(list((home.root / "output").rglob("*.md"))))
        home.later(seconds=30)
        await asyncio.sleep(0.1)
        return await create(body, betas=betas)

    home.deps.api.create = slow  # type: ignore[method-assign]
    run(home)
    assert only(home, REPORTED)
    assert reports[-1] > 0


def test_while_a_long_batch_is_collected_the_others_are_looked_at_and_collected(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.app.drive._BESIDE", timedelta(milliseconds=5))
    monkeypatch.setattr("shared.app.collect_ended._LOOK_S", 0.005)
    for number in range(12):
        fill(home, 1, f"g{number:02}/")
    home.see()
    create, results = home.deps.api.create, home.deps.api.results
    begun = ended = 0

    async def one_by_one(body: Body, *, betas: Sequence[str]) -> ProviderBatch:
        home.later(seconds=20)
        return await create(body, betas=betas)

    async def long(provider_id: ProviderId) -> AsyncGenerator[list[bytes], None]:
        nonlocal begun, ended
        begun += 1
        if begun == 1:
            for _ in range(2000):
                home.later(seconds=1)
                await asyncio.sleep(0.005)
                if ended == 11:
                    break
            else:
                raise AssertionError(f"only {ended} others came to their end meanwhile")
        async for lines in results(provider_id):
            yield lines
        ended += 1

    home.deps.api.create = one_by_one  # type: ignore[method-assign]
    home.deps.api.results = long  # type: ignore[method-assign]
    run(home)
    assert only(home, REPORTED)


def test_leaving_early_looks_at_all_that_is_due_however_much_it_is(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(looks_per_minute=60))
    for number in range(30):
        fill(home, 1, f"g{number:02}/")
    home.see()
    asyncio.run(drive(home.deps, sleep=home.sleep, waiting=False))
    home.later(minutes=3)
    asyncio.run(drive(home.deps, sleep=home.sleep, waiting=False))
    assert only(home, REPORTED)


def test_a_run_that_leaves_early_does_not_wait_for_a_limit_to_pass(home: Home) -> None:
    fill(home, 2)
    home.see()
    asyncio.run(drive(home.deps, sleep=home.sleep, waiting=False))
    home.later(minutes=3)
    home.fault(Call.RETRIEVE, status=429, retry_after="600", times=None)
    before = home.now
    asyncio.run(drive(home.deps, sleep=home.sleep, waiting=False))
    assert home.now - before < timedelta(minutes=1)
    assert only(home, IN_BATCH)


def test_what_fails_in_collecting_ends_the_run(home: Home) -> None:
    fill(home, 2)
    home.see()

    def full(items: Iterable[tuple[str, bytes]]) -> None:
        raise BlobStoreUnavailable(f"the disk is full, and {len(list(items))} reports don't fit")

    write_many = home.deps.reports.write_many
    home.deps.reports.write_many = full  # type: ignore[method-assign]
    with pytest.raises(BlobStoreUnavailable):
        run(home)
    home.deps.reports.write_many = write_many  # type: ignore[method-assign]
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 2
