import asyncio
import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.adapters.folder_blobs import FolderBlobs
from shared.adapters.simulator.faults import Call
from shared.app.drive import AccessRefused
from shared.app.pauses import current_pause
from shared.app.submit import submit
from shared.domain.batch import BatchStatus
from shared.domain.pause import PauseReason
from shared.ports.batch_api import Body, ProviderBatch, Unavailable
from shared.ports.blobs import BlobError, BlobStoreUnavailable
from tests.app.home import Home
from tests.app.jobs import FAILED, REPORTED, fill, only, run


def test_a_group_waits_for_its_time_unless_it_is_ready(home: Home) -> None:
    fill(home)
    home.see(ready=False)
    assert asyncio.run(submit(home.deps)).batches == 0
    home.later(minutes=10)
    assert asyncio.run(submit(home.deps)).batches == 1


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


def gateway(home: Home, most: int) -> None:
    """Let something before the provider take smaller bodies only."""
    home.simulator.settings = replace(home.simulator.settings, max_bytes=most)


def test_a_batch_too_large_for_a_gateway_is_halved_until_it_fits_and_no_try_counts(
    home: Home,
) -> None:
    gateway(home, 2_000)
    fill(home, 40)
    home.write("large.md", "x" * 1_200)
    home.write("larger.md", "x" * 2_500)
    home.see()
    run(home)
    statuses = home.statuses()
    assert [path for path, status in statuses.items() if status is not REPORTED] == ["larger.md"]
    failure = home.documents()["larger.md"].failure
    assert failure is not None
    assert (failure.type, failure.attempts, failure.retryable) == ("request_too_large", 1, False)
    assert "its request alone is too large" in failure.message
    assert home.requested() == 41
    assert {document.attempts for document in home.documents().values()} == {0, 1}
    assert len(home.batches(BatchStatus.RELEASED)) < 6


def test_what_was_found_to_fit_is_known_to_the_next_process_which_tries_a_little_more(
    home: Home,
) -> None:
    gateway(home, 2_000)
    fill(home, 20)
    home.see()
    asyncio.run(submit(home.deps))
    assert any(event == "batch_refused" for event, _ in home.events)
    home.restart()
    home.events.clear()
    fill(home, 20, "later/")
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert sum(event == "batch_refused" for event, _ in home.events) <= 1
    gateway(home, 1_000_000)
    for number in range(5):
        fill(home, 20, f"{number}/")
        home.see()
        run(home)
    assert home.batches()[-1].requests == 20


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
        for _ in range(50):  # longer than another takes to be planned
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
        raise Unavailable("no key", reason=PauseReason.ACCESS)

    ready = home.deps.api.ready
    home.deps.api.ready = missing  # type: ignore[method-assign]
    with pytest.raises(AccessRefused):
        run(home)
    assert [batch.status for batch in home.batches()] == [BatchStatus.PLANNED]
    home.deps.api.ready = ready  # type: ignore[method-assign]
    before = home.now
    run(home)
    assert only(home, REPORTED)
    assert home.now - before < home.policy.doubt_grace + timedelta(seconds=70)


def test_a_refused_key_stops_the_run_and_the_next_one_goes_on(home: Home) -> None:
    fill(home)
    home.see()
    home.fault(Call.CREATE, status=401)
    with pytest.raises(AccessRefused):
        run(home)
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 5


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


def test_groups_that_fail_at_once_fail_as_one(home: Home, tmp_path: Path) -> None:
    for number in range(10):
        fill(home, 1, f"group {number}/")
    home.see()
    full = replace(home.deps, spool_dir=tmp_path / "not there")
    left: list[object] = []

    async def fail() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, facts: left.append(facts))
        with pytest.raises(FileNotFoundError):
            await submit(full)
        gc.collect()

    asyncio.run(fail())
    assert left == [], "exceptions that nobody looked at, which asyncio prints with their traces"
    run(home)
    assert home.requested() == 10


class OneFolderDown(FolderBlobs):
    """The documents of one folder can't be read now."""

    def read_many(
        self, keys: Sequence[str], *, etags: Sequence[str] | None = None
    ) -> Iterator[bytes | BlobError]:
        if any(key.startswith("a/") for key in keys):
            raise BlobStoreUnavailable("a/ can't be read: input/output error")
        return super().read_many(keys, etags=etags)


def test_a_group_that_cannot_be_read_now_holds_up_no_other(home: Home) -> None:
    for folder in ("a/", "b/", "c/"):
        fill(home, 2, folder)
    home.see()
    there = home.deps.documents
    home.deps = replace(home.deps, documents=OneFolderDown(home.root / "input"))
    with pytest.raises(BlobStoreUnavailable, match="a/ can't be read"):
        asyncio.run(submit(home.deps))
    assert sorted(batch.group for batch in home.batches()) == ["b", "c"]
    home.deps = replace(home.deps, documents=there)
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 6


def test_an_upload_goes_on_while_another_group_is_planned(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home, 1, "a/")
    fill(home, 1000, "b/")
    home.see()
    read: list[str] = []
    seen: list[int] = []
    there = FolderBlobs.read

    def counted(self: FolderBlobs, key: str) -> bytes:
        read.append(key)
        return there(self, key)

    create = home.deps.api.create

    async def slow(body: Body, *, betas: Sequence[str] = ()) -> ProviderBatch:
        while len(read) < 1001 and len(seen) < 10_000:
            seen.append(len(read))
            await asyncio.sleep(0)
        return await create(body, betas=betas)

    monkeypatch.setattr(FolderBlobs, "read", counted)
    monkeypatch.setattr(home.deps.api, "create", slow)
    asyncio.run(submit(home.deps))
    steps = [after - before for before, after in zip(seen, [*seen[1:], 1001], strict=True)]
    assert max(steps) <= 256, "an upload that stands still is cut off, and in doubt"
    assert home.requested() == 1001
