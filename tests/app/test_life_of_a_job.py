import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.adapters.builtin import catalog
from shared.adapters.simulator.faults import Call
from shared.adapters.simulator.messages import Cut
from shared.app.collect import Collected, collect
from shared.app.control import cancel, requeue
from shared.app.drive import CredentialsRefused, drive
from shared.app.poll import poll
from shared.app.publish import publish
from shared.app.reconcile import reconcile
from shared.app.submit import current_pause, submit
from shared.domain.batch import BatchStatus
from shared.domain.document import DocumentStatus
from shared.domain.pause import PauseReason
from shared.domain.policy import Policy
from shared.domain.recipe import parse_recipe
from shared.ports.batch_api import Body, ProviderBatch, Unavailable
from tests.app.home import JOB, START, Home

WAITING, IN_BATCH = DocumentStatus.WAITING, DocumentStatus.IN_BATCH
REPORTED, FAILED = DocumentStatus.REPORTED, DocumentStatus.FAILED


def fill(home: Home, count: int = 5, folder: str = "") -> None:
    for number in range(count):
        home.write(f"{folder}d{number}.md", f"# Document {number}\n\ntext {folder}")


def run(home: Home) -> None:
    asyncio.run(home.finish())


def only(home: Home, status: DocumentStatus) -> bool:
    return set(home.statuses().values()) == {status}


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


def test_each_group_is_a_batch_of_its_own(home: Home) -> None:
    fill(home, 2, "a/")
    fill(home, 3, "b/")
    home.see()
    run(home)
    assert sorted((b.group, b.requests) for b in home.batches()) == [("a", 2), ("b", 3)]


def test_a_full_batch_is_cut_by_requests(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(max_batch_requests=2))
    fill(home, 5)
    home.see()
    run(home)
    assert sorted(b.requests for b in home.batches()) == [1, 2, 2]


def test_a_full_batch_is_cut_by_bytes(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(max_batch_bytes=3_000))
    for number in range(6):
        home.write(f"d{number}.md", "x" * 1_000)
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert len(home.batches()) > 1
    assert all(b.body_size <= 3_000 for b in home.batches())


def test_a_group_waits_for_its_time_unless_it_is_ready(home: Home) -> None:
    fill(home)
    home.see(ready=False)
    assert asyncio.run(submit(home.deps)).batches == 0
    home.later(minutes=10)
    assert asyncio.run(submit(home.deps)).batches == 1


@pytest.mark.parametrize(
    ("name", "content", "type_"),
    [
        ("empty.md", b"", "empty_document"),
        ("image.md", b"\x89PNG\r\n\x1a\n\x00\x00", "unsupported_type"),
        ("huge.md", b"word " * 1_400_000, "document_too_large"),
    ],
)
def test_what_cannot_be_read_fails_with_its_reason_and_the_others_go_on(
    home: Home, name: str, content: bytes, type_: str
) -> None:
    fill(home, 2)
    home.write(name, content)
    home.see()
    run(home)
    failure = home.documents()[name].failure
    assert failure is not None
    assert failure.type == type_
    assert home.statuses()["d0.md"] is REPORTED
    assert home.requested() == 2


def test_a_lost_answer_is_adopted_and_nothing_is_paid_for_twice(home: Home) -> None:
    fill(home)
    home.see()
    home.lose_answer()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 5
    assert [b.status for b in home.batches()] == [BatchStatus.COLLECTED]


def test_a_create_that_never_arrived_is_given_back_after_the_grace(home: Home) -> None:
    fill(home)
    home.see()
    home.fault(Call.CREATE, cut=Cut.BEFORE)
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 5
    assert sorted(b.status for b in home.batches()) == [BatchStatus.COLLECTED, BatchStatus.RELEASED]


def test_a_listing_that_lags_is_not_believed_too_soon(home: Home) -> None:
    home.simulator.faults.listing_lag_s = 50
    fill(home)
    home.see()
    home.lose_answer()
    run(home)
    assert home.requested() == 5
    assert only(home, REPORTED)


def test_other_batches_of_the_same_size_are_not_mistaken_for_ours(home: Home) -> None:
    fill(home, 3, "a/")
    fill(home, 3, "b/")
    home.see()
    home.lose_answer()
    home.lose_answer()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 6


def test_a_process_that_dies_in_create_leaves_a_doubt_that_is_settled(home: Home) -> None:
    fill(home)
    home.see()
    real = home.deps.api.create

    async def dies(*given: object, **named: object) -> None:
        await real(*given, **named)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    home.deps.api.create = dies  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(submit(home.deps))
    assert [b.status for b in home.batches()] == [BatchStatus.SUBMITTING]
    home.deps.api.create = real  # type: ignore[method-assign]
    home.see()
    run(home)
    assert home.requested() == 5
    assert only(home, REPORTED)


def test_documents_in_doubt_wait_and_all_others_go_on(home: Home) -> None:
    fill(home, 2, "a/")
    fill(home, 3, "b/")
    home.see()
    home.lose_answer()
    asyncio.run(submit(home.deps))
    assert {b.group: b.status for b in home.batches()} == {
        "a": BatchStatus.IN_DOUBT,
        "b": BatchStatus.IN_PROGRESS,
    }


def test_a_doubt_whose_proof_is_gone_ends_as_a_named_failure_after_its_day(home: Home) -> None:
    fill(home, 2)
    home.see()
    home.lose_answer()
    home.fault(Call.RESULTS, status=404, times=None)
    run(home)
    failure = home.documents()["d0.md"].failure
    assert failure is not None
    assert (failure.type, failure.retryable) == ("doubt_unresolved", False)
    assert home.now - START > home.policy.not_found_grace
    assert requeue(home.deps, JOB) == 0
    home.simulator.faults.script.clear()
    assert requeue(home.deps, JOB, final=True) == 2
    run(home)
    assert only(home, REPORTED)


def test_many_doubts_are_looked_into_with_one_listing(home: Home) -> None:
    for number in range(4):
        fill(home, 2, f"g{number}/")
        home.lose_answer()
    home.see()
    asyncio.run(submit(home.deps))
    home.later(minutes=5)
    before = home.simulator.calls.copy()
    found = asyncio.run(reconcile(home.deps))
    assert found.adopted == 4
    assert home.simulator.calls[Call.LIST] - before[Call.LIST] == 1
    assert home.simulator.calls[Call.RESULTS] - before[Call.RESULTS] <= 4


def test_reconciling_stops_when_its_time_is_over(home: Home) -> None:
    fill(home)
    home.see()
    home.lose_answer()
    asyncio.run(submit(home.deps))
    home.later(minutes=5)
    assert asyncio.run(reconcile(home.deps, until=home.now)).adopted == 0
    assert asyncio.run(reconcile(home.deps, until=home.now + timedelta(seconds=9))).adopted == 1


def test_a_full_queue_makes_the_batch_wait_not_fail(home: Home) -> None:
    fill(home)
    home.see()
    home.fault(Call.CREATE, status=429, retry_after="120", times=2)
    before = home.now
    run(home)
    assert only(home, REPORTED)
    assert home.now - before >= timedelta(seconds=240)
    assert home.requested() == 5
    assert current_pause(home.deps) is None


def test_a_refused_batch_fails_its_documents_with_the_words_of_the_api(home: Home) -> None:
    fill(home, 2)
    home.see()
    home.fault(Call.CREATE, status=400, message="nonsense")
    run(home)
    assert only(home, FAILED)
    failure = home.documents()["d0.md"].failure
    assert failure is not None
    assert failure.type == "invalid_request_error"
    assert "nonsense" in failure.message
    assert failure.custom_id
    assert home.requested() == 0


def test_a_refusal_that_names_a_request_fails_its_document_and_the_others_go_on(
    home: Home,
) -> None:
    fill(home, 5)
    home.see()
    home.fault(Call.CREATE, status=400, message="requests.2.custom_id: String is cursed")
    run(home)
    assert [path for path, status in home.statuses().items() if status is FAILED] == ["d2.md"]
    failure = home.documents()["d2.md"].failure
    assert failure is not None
    assert "is cursed" in failure.message
    assert home.requested() == 4


def test_a_batch_of_nothing_but_cursed_requests_is_not_sent_for_each_of_them(home: Home) -> None:
    fill(home, 20)
    home.see()
    home.fault(Call.CREATE, status=400, message="requests.0.custom_id: no", times=None)
    run(home)
    assert only(home, FAILED)
    assert home.simulator.calls[Call.CREATE] == 3


def test_groups_are_sent_side_by_side_and_after_a_pause_one_at_a_time(home: Home) -> None:
    for number in range(6):
        fill(home, 1, f"g{number}/")
    home.see()
    under_way, most = 0, 0
    create = home.deps.api.create

    async def watched(body: Body, *, betas: Sequence[str]) -> ProviderBatch:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return await create(body, betas=betas)

    home.deps.api.create = watched  # type: ignore[method-assign]
    home.fault(Call.CREATE, status=529)
    asyncio.run(submit(home.deps))
    assert most == 4
    most = 0
    home.later(minutes=20)
    home.fault(Call.CREATE, status=529)
    assert asyncio.run(submit(home.deps)).batches == 0
    assert most == 1
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 6


def test_nothing_is_intended_before_the_provider_can_be_called(home: Home) -> None:
    fill(home, 2)
    home.see()

    async def missing() -> None:
        raise Unavailable("no key", reason=PauseReason.CREDENTIALS)

    ready = home.deps.api.ready
    home.deps.api.ready = missing  # type: ignore[method-assign]
    with pytest.raises(CredentialsRefused):
        run(home)
    assert [batch.status for batch in home.batches()] == [BatchStatus.PLANNED]
    home.deps.api.ready = ready  # type: ignore[method-assign]
    before = home.now
    run(home)
    assert only(home, REPORTED)
    assert home.now - before < home.policy.doubt_grace + timedelta(seconds=70)


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


def test_a_batch_is_cut_so_that_its_results_can_be_read_in_time(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(max_results_bytes=3 * 1000 * 4))
    fill(home, 7)
    home.see()
    run(home)
    assert sorted(batch.requests for batch in home.batches()) == [1, 3, 3]


def test_a_refused_key_stops_the_run_and_the_next_one_goes_on(home: Home) -> None:
    fill(home)
    home.see()
    home.fault(Call.CREATE, status=401)
    with pytest.raises(CredentialsRefused):
        run(home)
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 5


def test_a_404_just_after_create_is_not_a_loss(home: Home) -> None:
    home.simulator.faults.not_found_s = 45
    fill(home)
    home.see()
    run(home)
    assert only(home, REPORTED)


def test_a_batch_that_stays_unknown_fails_by_name_after_its_day(home: Home) -> None:
    fill(home, 1)
    home.see()
    home.fault(Call.RETRIEVE, status=404, times=100_000)
    run(home)
    failure = home.documents()["d0.md"].failure
    assert failure is not None
    assert (failure.type, failure.retryable) == ("batch_not_found", True)
    assert [b.status for b in home.batches()] == [BatchStatus.FAILED]


@pytest.mark.parametrize("cut", [Cut.MID_LINE, Cut.LINE_END])
def test_a_stream_that_is_cut_is_read_again_to_its_end(home: Home, cut: Cut) -> None:
    fill(home, 600 if cut is Cut.LINE_END else 20)
    home.see()
    home.fault(Call.RESULTS, cut=cut, lines=11)
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == len(home.documents())
    total = home.batches()[0].totals
    assert total is not None
    assert total.reported == len(home.documents())


def test_a_report_that_cannot_be_written_is_a_failure_however_often_it_is_read(home: Home) -> None:
    fill(home)
    (home.root / "output" / "d0.md.md").mkdir()
    home.see()
    home.fault(Call.RESULTS, cut=Cut.LINE_END, lines=4, times=2)
    run(home)
    failure = home.documents()["d0.md"].failure
    assert failure is not None
    assert failure.type == "report_not_written"
    total = home.batches()[0].totals
    assert total is not None
    assert (total.reported, total.failed) == (4, 1)
    assert total.usage.output_tokens > 0


def test_server_trouble_is_tried_again_in_a_new_batch_and_then_fails(home: Home) -> None:
    home.simulator.faults.error_rate = 1.0
    fill(home, 2)
    home.see()
    run(home)
    failure = home.documents()["d0.md"].failure
    assert failure is not None
    assert (failure.type, failure.attempts, failure.retryable) == ("api_error", 3, True)
    assert len(home.batches()) == 3
    home.simulator.faults.error_rate = 0.0
    assert requeue(home.deps, JOB) == 2
    run(home)
    assert only(home, REPORTED)


def test_only_what_failed_for_the_moment_is_retried_unless_all_is_asked_for(home: Home) -> None:
    home.simulator.faults.error_rate = 1.0
    home.simulator.faults.error_type = "invalid_request_error"
    fill(home, 2)
    home.see()
    run(home)
    assert home.requested() == 2
    home.simulator.faults.error_rate = 0.0
    assert requeue(home.deps, JOB) == 0
    assert requeue(home.deps, JOB, final=True) == 2
    run(home)
    assert only(home, REPORTED)


def test_missing_credit_waits_and_goes_on_by_itself(home: Home) -> None:
    home.simulator.faults.out_of_credit = True
    fill(home, 2)
    home.see()
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    asyncio.run(poll(home.deps))
    asyncio.run(home.collect_all())
    pause = current_pause(home.deps)
    assert pause is not None
    assert pause.reason is PauseReason.LOW_CREDIT
    assert "credit balance" in pause.message
    assert {d.attempts for d in home.documents().values()} == {0}
    assert only(home, WAITING)
    home.simulator.faults.out_of_credit = False
    run(home)
    assert only(home, REPORTED)


def test_what_expires_is_tried_again(home: Home) -> None:
    home.simulator.faults.expire_rate = 1.0
    fill(home, 3)
    home.see()
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    asyncio.run(poll(home.deps))
    asyncio.run(home.collect_all())
    assert {d.attempts for d in home.documents().values()} == {1}
    home.simulator.faults.expire_rate = 0.0
    run(home)
    assert only(home, REPORTED)


def test_a_refusal_is_a_failure_and_a_cut_answer_a_marked_report(home: Home) -> None:
    home.simulator.faults.refuse_rate = 0.5
    home.simulator.faults.truncate_rate = 0.5
    fill(home, 20)
    home.see()
    run(home)
    documents = home.documents()
    refused = [path for path, d in documents.items() if d.status is FAILED]
    cut = [path for path, d in documents.items() if d.status is REPORTED]
    assert refused
    assert cut
    assert all(d.failure.type == "refusal" for d in documents.values() if d.failure)
    assert "truncated: true" in (home.report(cut[0]) or "")


def test_lines_that_are_doubled_broken_or_strange_do_not_change_the_outcome(home: Home) -> None:
    home.simulator.faults.duplicate_lines = 3
    fill(home, 10)
    home.see()
    run(home)
    assert only(home, REPORTED)
    totals = home.batches()[0].totals
    assert totals is not None
    assert totals.reported == 10


@pytest.mark.parametrize("fault", ["wrong_counts", "malformed_lines", "stray_lines"])
def test_a_disagreement_with_the_counts_is_read_again_and_then_noted(
    home: Home, fault: str
) -> None:
    setattr(home.simulator.faults, fault, 1)
    fill(home, 3)
    home.see()
    run(home)
    assert only(home, REPORTED)
    batch = home.batches()[0]
    assert batch.status is BatchStatus.COLLECTED
    assert batch.note
    assert home.simulator.calls[Call.RESULTS] == 3


def test_collecting_that_runs_out_of_time_goes_on_where_it_was(home: Home) -> None:
    fill(home, 30)
    home.see()
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    ended = asyncio.run(poll(home.deps)).ended
    assert asyncio.run(collect(home.deps, ended[0], until=home.now)) is Collected.UNFINISHED
    assert asyncio.run(collect(home.deps, ended[0])) is Collected.DONE
    assert only(home, REPORTED)


def test_a_process_that_dies_in_collect_holds_nobody_up(home: Home) -> None:
    fill(home, 3)
    home.see()
    real = home.deps.reports.write_many

    def dies(items: Iterable[tuple[str, bytes]]) -> None:
        if any(key.endswith(".md") for key, _ in items):
            raise KeyboardInterrupt

    home.deps.reports.write_many = dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run(home)
    home.deps.reports.write_many = real  # type: ignore[method-assign]
    before = home.now
    run(home)
    assert only(home, REPORTED)
    assert home.now - before < timedelta(seconds=5)


def test_a_message_that_comes_twice_collects_once(home: Home) -> None:
    fill(home, 3)
    home.see()
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    ended = asyncio.run(poll(home.deps)).ended
    assert asyncio.run(collect(home.deps, ended[0])) is Collected.DONE
    assert asyncio.run(collect(home.deps, ended[0])) is Collected.NOTHING


def test_a_message_that_is_lost_is_made_up_for(home: Home) -> None:
    fill(home, 3)
    home.see()
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    ended = asyncio.run(poll(home.deps)).ended
    assert asyncio.run(reconcile(home.deps)).to_collect == ended


def test_a_document_that_changes_in_its_batch_gets_both_reports_in_order(home: Home) -> None:
    home.write("a.md", "one")
    home.see()
    asyncio.run(submit(home.deps))
    home.write("a.md", "two")
    home.see()
    assert home.statuses()["a.md"] is IN_BATCH
    assert asyncio.run(submit(home.deps)).batches == 0
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 2


def test_content_that_changes_back_in_its_batch_is_paid_for_once(home: Home) -> None:
    home.write("a.md", "one")
    home.see()
    asyncio.run(submit(home.deps))
    home.write("a.md", "two")
    home.see()
    home.write("a.md", "one")
    home.see()
    run(home)
    assert home.requested() == 1


def test_a_document_that_is_gone_before_it_is_read_fails_and_heals_when_it_is_back(
    home: Home,
) -> None:
    home.write("a.md", "one")
    home.see()
    (home.root / "input" / "a.md").unlink()
    run(home)
    failure = home.documents()["a.md"].failure
    assert failure is not None
    assert failure.type == "not_found"
    home.write("a.md", "one")
    home.see()
    run(home)
    assert only(home, REPORTED)


def test_cancel_ends_everything_and_retry_takes_it_up(home: Home) -> None:
    fill(home, 20, "a/")
    home.see()
    asyncio.run(submit(home.deps))
    fill(home, 3, "b/")
    home.see()
    home.later(seconds=20)
    assert asyncio.run(cancel(home.deps, JOB)) == 1
    asyncio.run(drive(home.deps, sleep=home.sleep, submitting=False))
    statuses = home.statuses()
    assert statuses["b/d0.md"] is FAILED
    assert {REPORTED, FAILED} == set(statuses.values())
    finished = sum(status is REPORTED for status in statuses.values())
    requeue(home.deps, JOB)
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 20 + 23 - finished


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


def test_a_report_that_cannot_lie_where_it_belongs_fails_alone(home: Home) -> None:
    home.write("a", "text")
    home.write("b", "text")
    (home.root / "output" / "a.md").mkdir()
    home.see()
    run(home)
    statuses = home.statuses()
    assert (statuses["a"], statuses["b"]) == (FAILED, REPORTED)


def test_rows_of_a_manifest_are_documents(home: Home) -> None:
    rows = [{"id": f"r{n}", "name": f"N{n}", "text": f"text {n}"} for n in range(4)]
    lines = [json.dumps(row) for row in rows]
    home.write("rows.jsonl", "\n".join([*lines, "{broken", json.dumps(rows[0] | {"text": "x"})]))
    home.see()
    run(home)
    documents = home.documents()
    assert home.report("r0") is not None
    assert documents["rows.jsonl:5"].status is FAILED
    duplicate = documents["rows.jsonl:6"].failure
    assert duplicate is not None
    assert duplicate.type == "duplicate_id"
    assert home.requested() == 4
    home.see()
    run(home)
    assert home.requested() == 4


def test_a_plan_that_was_put_off_is_sent_without_what_changed_meanwhile(home: Home) -> None:
    fill(home, 3)
    home.see()
    home.fault(Call.CREATE, status=529)
    asyncio.run(submit(home.deps))
    home.write("d0.md", "another text")
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 3


def test_a_csv_without_a_column_that_the_prompt_uses_fails_before_anything_is_spent(
    home: Home,
) -> None:
    prompt = "---\nmodel: claude-opus-4-6\n---\n{{ readme }}\n"
    home.recipe = parse_recipe(prompt, name="recipe.md", catalog=catalog())
    home.write("manifest.csv", "id,name\n1,x\n")
    home.see()
    failure = home.documents()["manifest.csv"].failure
    assert failure is not None
    assert failure.type == "invalid_manifest"
    assert "no column readme" in failure.message
    run(home)
    assert home.requested() == 0


def test_a_row_without_a_value_that_the_prompt_uses_fails_alone(home: Home) -> None:
    prompt = "---\nmodel: claude-opus-4-6\n---\n{{ readme }}\n"
    home.recipe = parse_recipe(prompt, name="recipe.md", catalog=catalog())
    home.write("rows.jsonl", '{"id": "a", "readme": "x"}\n{"id": "b"}\n')
    home.see()
    run(home)
    failure = home.documents()["b"].failure
    assert failure is not None
    assert failure.type == "template_error"
    assert "readme" in failure.message
    assert home.requested() == 1
