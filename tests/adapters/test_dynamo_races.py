"""Many hands on one table, where calls really cross: threads, processes, and a second DynamoDB.

Each race is also run without the condition that decides it, to see that it would be noticed.
"""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier, Event
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from shared.adapters.dynamo_store import DynamoStore
from shared.domain.batch import BatchStatus
from shared.domain.document import Content, Document, DocumentStatus, Failure
from shared.domain.ids import BatchId, ProviderId
from shared.domain.pause import Pause, PauseReason
from shared.ports.store import StaleWrite, Store
from tests.adapters.conftest import second_dynamo_wanted
from tests.adapters.test_store_contract import JOB, NOW, batch, document, group
from tests.aws import dynamo_client, environment, table_from_template
from tests.stack.ministack import Ministack

pytestmark = second_dynamo_wanted

THREADS = 16
_PROCESSES = 4
_PATIENCE_S = 120.0

Open = Callable[[], Store]


class Unconditional:
    """A client that forgets every condition on the way: what the adapter would be without them."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, operation: str) -> Any:
        plain = getattr(self._client, operation)

        def call(**arguments: Any) -> Any:
            values = arguments.get("ExpressionAttributeValues", {})
            if "ConditionExpression" in arguments:
                del arguments["ConditionExpression"]
                arguments.pop("ReturnValuesOnConditionCheckFailure", None)
                if ":rev" in values:
                    del arguments["ExpressionAttributeValues"]
            for statement in arguments.get("Statements", ()):
                if " AND rev=?" in statement["Statement"]:
                    statement["Statement"] = statement["Statement"].replace(" AND rev=?", "")
                    statement["Parameters"].pop()
            return plain(**arguments)

        return call


@pytest.fixture
def table(second_dynamo: Ministack) -> Iterator[str]:
    with environment():
        client = dynamo_client(url=second_dynamo.url)
        name = f"table-{uuid4().hex}"
        table_from_template(client, name)
        client.close()
        yield name


@pytest.fixture
def store(second_dynamo: Ministack, table: str) -> Iterator[Store]:
    with opened(second_dynamo.url, table) as one:
        yield one


@contextmanager
def opened(
    url: str, table: str, *, careless: bool = False, threads: int = 4
) -> Iterator[DynamoStore]:
    """A store with a client of its own."""
    client = dynamo_client(url=url, threads=threads)
    store = DynamoStore(Unconditional(client) if careless else client, table, threads=threads)
    try:
        yield store
    finally:
        store.close()
        client.close()


def race(
    url: str, table: str, work: Callable[[Store, int], Any], *, careless: bool = False
) -> list[Any]:
    """What each of the threads comes to with the work, which all begin at once."""
    start = Barrier(THREADS)

    def run(number: int) -> Any:
        with opened(url, table, careless=careless) as own:
            own.pause()  # connected
            start.wait(_PATIENCE_S)
            return work(own, number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def claim_all(store: Store, paths: Sequence[str], hand: str) -> list[str]:
    """Claim what is still free of the documents, as submit does; the paths that were won."""
    won: list[str] = []
    for start in range(0, len(paths), 50):
        part = paths[start : start + 50]
        free = [
            replace(each, status=DocumentStatus.IN_BATCH, batch=BatchId(hand))
            for each in store.documents(JOB, part).values()
            if each.status is DocumentStatus.WAITING
        ]
        lost = store.swap_documents(free)
        won += [each.path for each in free if each.path not in lost]
    return won


def claim_in_process(url: str, table: str, paths: list[str], hand: str) -> list[str]:
    """The same, from a process of its own."""
    with environment(), opened(url, table, threads=8) as own:
        return claim_all(own, paths, hand)


def waiting(store: Store, count: int) -> list[str]:
    """As many documents that wait."""
    free = [document(f"{place:04d}.txt") for place in range(count)]
    assert store.swap_documents(free) == set()
    return [each.path for each in free]


def check_one_winner_each(store: Store, paths: list[str], won: dict[str, list[str]]) -> None:
    """Every document was won once, and belongs to its winner."""
    times = Counter(path for each in won.values() for path in each)
    assert times == Counter(paths), times.most_common(3)
    stored = store.documents(JOB, paths)
    for hand, each in won.items():
        assert {stored[path].batch for path in each} <= {hand}


def test_each_document_has_one_winner_among_many_threads(
    second_dynamo: Ministack, table: str, store: Store
) -> None:
    paths = waiting(store, 300)

    def claim(own: Store, number: int) -> list[str]:
        return claim_all(own, paths[number:] + paths[:number], f"hand{number}")

    won = race(second_dynamo.url, table, claim)
    check_one_winner_each(store, paths, {f"hand{n}": each for n, each in enumerate(won)})
    assert list(store.waiting(JOB, "")) == []


def test_each_document_has_one_winner_among_processes(
    second_dynamo: Ministack, table: str, store: Store
) -> None:
    paths = waiting(store, 1000)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_PROCESSES, mp_context=spawn) as pool:
        asked = {
            f"process{n}": pool.submit(
                claim_in_process, second_dynamo.url, table, paths, f"process{n}"
            )
            for n in range(_PROCESSES)
        }
        won = {hand: future.result(_PATIENCE_S) for hand, future in asked.items()}
    check_one_winner_each(store, paths, won)


def test_without_its_condition_a_claim_has_many_winners(
    second_dynamo: Ministack, table: str, store: Store
) -> None:
    paths = waiting(store, 30)
    both_have_read = Barrier(THREADS)

    def claim(own: Store, number: int) -> list[str]:
        read = list(own.documents(JOB, paths).values())
        both_have_read.wait(_PATIENCE_S)
        lost = own.swap_documents([replace(each, batch=BatchId(f"hand{number}")) for each in read])
        return [path for path in paths if path not in lost]

    won = race(second_dynamo.url, table, claim, careless=True)
    with pytest.raises(AssertionError):
        check_one_winner_each(store, paths, {f"hand{n}": each for n, each in enumerate(won)})
    both_have_read.reset()
    won = race(second_dynamo.url, table, claim)
    check_one_winner_each(store, paths, {f"hand{n}": each for n, each in enumerate(won)})


def count_up(own: Store, paths: list[str], times: int) -> None:
    """Add one to each document's attempts so often, whoever else does."""
    for _ in range(times):
        left = list(paths)
        while left:
            read = own.documents(JOB, left).values()
            raised = [replace(each, attempts=each.attempts + 1) for each in read]
            left = sorted(own.swap_documents(raised))


@pytest.mark.parametrize("careless", [False, True])
def test_no_update_is_lost(
    second_dynamo: Ministack, table: str, store: Store, careless: bool
) -> None:
    paths = waiting(store, 5)
    race(second_dynamo.url, table, lambda own, _: count_up(own, paths, 3), careless=careless)
    counted = {each.attempts for each in store.documents(JOB, paths).values()}
    assert (counted == {3 * THREADS}) is not careless


@pytest.mark.parametrize("careless", [False, True])
def test_one_taker_of_a_batch_wins(
    second_dynamo: Ministack, table: str, store: Store, careless: bool
) -> None:
    planned = store.plan(batch(), [])

    def take(own: Store, number: int) -> bool:
        try:
            own.swap_batch(replace(planned, status=BatchStatus.SUBMITTING, note=f"hand{number}"))
        except StaleWrite:
            return False
        return True

    won = race(second_dynamo.url, table, take, careless=careless)
    assert sum(won) == (THREADS if careless else 1)
    stored = store.batch(planned.id)
    assert stored is not None
    assert won[int(stored.note.removeprefix("hand"))]


def test_a_batch_brought_on_by_many_is_brought_on_step_by_step(
    second_dynamo: Ministack, table: str, store: Store
) -> None:
    """Everybody who is stale reads again, so each step is one hand's, and none is left out."""
    store.plan(batch(), [])

    def bring_on(own: Store, _: int) -> list[int]:
        steps: list[int] = []
        while len(steps) < 3:
            found = own.batch(BatchId("b"))
            assert found is not None
            try:
                own.swap_batch(replace(found, tries=found.tries + 1, provider_id=ProviderId("p")))
            except StaleWrite:
                continue
            steps.append(found.tries)
        return steps

    steps = race(second_dynamo.url, table, bring_on)
    assert sorted(step for each in steps for step in each) == list(range(3 * THREADS))
    assert store.known([ProviderId("p")]) == {ProviderId("p")}


def test_a_group_that_is_touched_while_it_closes_stays_open_or_is_opened_anew(
    second_dynamo: Ministack, table: str, store: Store
) -> None:
    for _ in range(5):
        before = store.swap_group(group("g"))

        def hand(own: Store, number: int, before: Any = before) -> str:
            try:
                if number % 2:
                    own.close_group(before)
                    return "closed"
                own.swap_group(replace(before, touched=NOW + timedelta(seconds=number)))
            except StaleWrite:
                return "stale"
            return "touched"

        came_to = Counter(race(second_dynamo.url, table, hand))
        stored = store.group(JOB, "g")
        assert came_to["touched"] <= 1
        assert (came_to["touched"] == 1) is (stored is not None)
        assert (came_to["closed"] > 0) is (stored is None)
        if stored is not None:
            store.close_group(stored)


def test_a_pause_that_is_extended_is_not_lifted(
    second_dynamo: Ministack, table: str, store: Store
) -> None:
    first = store.swap_pause(Pause(until=NOW, reason=PauseReason.RATE_LIMIT, message="later"))

    def hand(own: Store, number: int) -> str:
        try:
            if number % 2:
                own.lift_pause(first)
                return "lifted"
            own.swap_pause(replace(first, until=NOW + timedelta(seconds=number)))
        except StaleWrite:
            return "stale"
        return "extended"

    came_to = Counter(race(second_dynamo.url, table, hand))
    assert came_to["extended"] <= 1
    assert (came_to["extended"] == 1) is (store.pause() is not None)


def test_what_is_read_during_writes_is_whole_and_what_was_written_is_seen_at_once(
    second_dynamo: Ministack, table: str, store: Store
) -> None:
    paths = waiting(store, 200)
    done = Event()

    def write() -> None:
        with opened(second_dynamo.url, table, threads=8) as own:
            for attempt in range(1, 6):
                read = own.documents(JOB, paths).values()
                assert {each.attempts for each in read} == {attempt - 1}
                assert own.swap_documents([marked(each, attempt) for each in read]) == set()
        done.set()

    def read() -> int:
        rounds = 0
        with opened(second_dynamo.url, table) as own:
            while not done.is_set():
                listed = list(own.waiting(JOB, ""))
                assert sorted(each.path for each in listed) == paths
                for each in (*listed, *own.documents(JOB, paths).values()):
                    assert each == marked(replace(each, rev=each.rev), each.attempts), "torn"
                rounds += 1
        return rounds

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        try:
            pool.submit(write).result(_PATIENCE_S)
        finally:
            done.set()
        assert min(reader.result(_PATIENCE_S) for reader in readers) > 1


def marked(each: Document, attempt: int) -> Document:
    """The document with all that a write of it changes at once."""
    if not attempt:
        return each
    content = Content(source=each.path, etag=f"v{attempt}", size=attempt)
    return replace(each, attempts=attempt, content=content)


def test_pages_end_at_a_megabyte_and_reading_goes_on(second_dynamo: Ministack, table: str) -> None:
    pages: list[int] = []

    class Counting:
        def __getattr__(self, operation: str) -> Any:
            def call(**arguments: Any) -> Any:
                answer = getattr(client, operation)(**arguments)
                if operation == "query":
                    pages.append(len(answer["Items"]))
                return answer

            return call

    client = dynamo_client(url=second_dynamo.url, threads=8)
    store = DynamoStore(Counting(), table, threads=8)
    long = "x" * 900
    many = [document(f"{long}{place:04d}") for place in range(600)]
    assert store.swap_documents(many) == set()
    assert [each.path for each in store.waiting(JOB, "")] == [each.path for each in many]
    assert len(pages) > 1
    assert store.count(JOB) == {"": {DocumentStatus.WAITING: 600}}
    store.close()
    client.close()


def test_an_item_that_no_table_can_hold_is_a_fault_of_ours_and_harms_no_other(
    store: Store,
) -> None:
    long = Failure(type="t", message="x" * 410_000)
    large = document("large", status=DocumentStatus.FAILED, failure=long)
    with pytest.raises(ClientError, match="ValidationException"):
        store.swap_documents([document("a"), large, document("z")])
    assert store.documents(JOB, ["a", "large", "z"]).keys() == {"a", "z"}
