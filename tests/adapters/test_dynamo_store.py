"""What only a table over a network can do: lose answers, throttle, be missing, cut pages."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
)
from msgspec.structs import replace

from shared.adapters import dynamo_keys
from shared.adapters.dynamo_errors import Patience
from shared.adapters.dynamo_store import PAPERS_KEPT, DynamoStore
from shared.adapters.dynamo_table import Table
from shared.domain.batch import BatchStatus
from shared.domain.document import DocumentStatus
from shared.domain.group import Load
from shared.domain.ids import BatchId, JobName
from shared.ports.store import StaleWrite, StoreUnavailable, StoreUnusable
from tests.adapters.test_store_contract import JOB, NOW, batch, document, group, members
from tests.aws import dynamo_client, mocked_aws, table_from_template

ITEM_LIMIT = 400 * 1024


@pytest.fixture(scope="module")
def moto() -> Iterator[None]:
    with mocked_aws():
        yield


@pytest.fixture
def client(moto: None) -> Iterator[Any]:
    one = dynamo_client()
    yield one
    one.close()


@pytest.fixture
def table(client: Any) -> str:
    name = f"table-{uuid4().hex}"
    table_from_template(client, name)
    return name


@pytest.fixture
def store(client: Any, table: str) -> Iterator[DynamoStore]:
    one = DynamoStore(client, table, threads=4)
    yield one
    one.close()


class Weather:
    """A real client through which some calls go wrong."""

    def __init__(self, client: Any, **disturbed: Callable[..., Any]) -> None:
        self._client = client
        self._disturbed = disturbed

    def __getattr__(self, operation: str) -> Any:
        return self._disturbed.get(operation) or getattr(self._client, operation)


def refusal(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": "m"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        "PutItem",
    )


def always(error: Exception) -> Callable[..., Any]:
    def fail(**arguments: Any) -> Any:
        raise error

    return fail


def items(client: Any, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.scan(TableName=table)["Items"]
    return found


def test_a_write_repeated_because_its_answer_got_lost_is_not_lost(client: Any, table: str) -> None:
    def twice(**arguments: Any) -> Any:
        client.put_item(**arguments)
        return client.put_item(**arguments)

    def all_twice(**arguments: Any) -> Any:
        client.batch_execute_statement(**arguments)
        return client.batch_execute_statement(**arguments)

    weather = Weather(client, put_item=twice, batch_execute_statement=all_twice)
    store = DynamoStore(weather, table, threads=4)
    free = [document(f"{place}") for place in range(5)]
    assert store.swap_documents(free) == set()
    read = list(store.documents(JOB, [each.path for each in free]).values())
    assert store.swap_documents([replace(each, batch=BatchId("b")) for each in read]) == set()
    planned = store.plan(batch(), members(3))
    taken = store.swap_batch(replace(planned, status=BatchStatus.SUBMITTING))
    assert store.batch(BatchId("b")) == taken
    with pytest.raises(StaleWrite):
        store.swap_batch(planned)
    store.close()


def test_the_same_write_by_somebody_else_is_lost(store: DynamoStore) -> None:
    assert store.swap_documents([document()]) == set()
    read = store.documents(JOB, ["a.txt"])["a.txt"]
    assert store.swap_documents([read]) == set()
    assert store.swap_documents([read]) == {"a.txt"}


def test_keys_that_a_read_left_out_are_asked_for_again(client: Any, table: str) -> None:
    waits: list[float] = []
    asked: list[int] = []

    def a_third(**arguments: Any) -> Any:
        request = arguments["RequestItems"][table]
        keys = request["Keys"]
        asked.append(len(keys))
        part = len(keys) // 3
        answer = (
            client.batch_get_item(RequestItems={table: request | {"Keys": keys[:part]}})
            if (part)
            else {"Responses": {}}
        )
        if len(keys) < 3:
            return client.batch_get_item(**arguments)
        return answer | {"UnprocessedKeys": {table: request | {"Keys": keys[part:]}}}

    store = DynamoStore(client, table, threads=4)
    paths = [f"{place:03d}" for place in range(120)]
    store.swap_documents([document(path) for path in paths])
    troubled = Table(Weather(client, batch_get_item=a_third), table, threads=1, sleep=waits.append)
    found = troubled.get_many([dynamo_keys.document_key(JOB, path) for path in paths])
    assert len(found) == 120
    assert len({item["sk"]["S"] for item in found}) == 120
    assert waits
    store.close()


def test_a_table_that_reads_nothing_is_given_up_in_bounded_time(client: Any, table: str) -> None:
    waits: list[float] = []

    def nothing(**arguments: Any) -> Any:
        return {"Responses": {}, "UnprocessedKeys": arguments["RequestItems"]}

    troubled = Table(Weather(client, batch_get_item=nothing), table, threads=1, sleep=waits.append)
    with pytest.raises(StoreUnavailable, match="throttled"):
        troubled.get_many([dynamo_keys.document_key(JOB, "a")])
    assert 0 < sum(waits) < 15


@pytest.mark.parametrize(
    "error",
    [
        refusal("ProvisionedThroughputExceededException"),
        refusal("ThrottlingException"),
        refusal("RequestLimitExceeded"),
        refusal("InternalServerError", 500),
        refusal("Whatever", 503),
        refusal("AccessDeniedException"),
        refusal("ExpiredTokenException"),
        EndpointConnectionError(endpoint_url="https://dynamodb"),
        ConnectTimeoutError(endpoint_url="https://dynamodb"),
        NoCredentialsError(),
    ],
    ids=lambda error: str(error)[:60],
)
def test_what_may_pass_is_unavailable(client: Any, table: str, error: Exception) -> None:
    fail = always(error)
    weather = Weather(
        client,
        put_item=fail,
        batch_execute_statement=fail,
        query=fail,
        get_item=fail,
        batch_get_item=fail,
    )
    store = DynamoStore(weather, table, threads=2)
    for call in (
        lambda: store.swap_documents([document("a"), document("b"), document("c")]),
        lambda: list(store.waiting(JOB, "")),
        lambda: store.batch(BatchId("b")),
        lambda: store.swap_group(group()),
        lambda: store.documents(JOB, ["a"]),
    ):
        with pytest.raises(StoreUnavailable, match=table) as raised:
            call()
        assert raised.value.__cause__ is error
    store.close()


def test_a_fault_of_ours_is_not_taken_for_weather(client: Any, table: str) -> None:
    store = DynamoStore(
        Weather(client, put_item=always(refusal("ValidationException"))), table, threads=1
    )
    with pytest.raises(ClientError):
        store.swap_group(group())


def test_a_table_that_is_not_there_is_unusable(client: Any) -> None:
    with pytest.raises(StoreUnusable, match=r"no table nowhere.*deploy"):
        DynamoStore(client, "nowhere").pause()


def test_an_item_that_can_not_be_read_is_named(client: Any, table: str, store: DynamoStore) -> None:
    store.swap_documents([document()])
    key = dynamo_keys.document_key(JOB, "a.txt")
    client.put_item(TableName=table, Item=key | {"record": {"S": "{}"}})
    with pytest.raises(StoreUnusable, match=r"JOB#invoices DOC#a\.txt.*can't be read"):
        store.documents(JOB, ["a.txt"])


def test_counting_a_load_stops_when_it_is_enough(client: Any, table: str) -> None:
    pages: list[int] = []

    def counting(**arguments: Any) -> Any:
        answer = client.query(**arguments)
        pages.append(len(answer["Items"]))
        return answer

    store = DynamoStore(Weather(client, query=counting), table, threads=4)
    store.swap_documents([document(f"{place:02d}") for place in range(30)])
    assert store.load(JOB, "", enough=Load(documents=5, bytes=10**9)).documents == 5
    assert pages == [5]
    pages.clear()
    assert store.load(JOB, "", enough=Load(documents=100, bytes=300)).bytes == 300
    assert pages == [30]
    store.close()


def test_what_is_settled_leaves_the_index(client: Any, table: str, store: DynamoStore) -> None:
    store.swap_documents([document()])
    read = store.documents(JOB, ["a.txt"])["a.txt"]
    store.swap_documents([replace(read, status=DocumentStatus.REPORTED)])
    planned = store.plan(batch(), members(3))
    store.swap_batch(replace(planned, status=BatchStatus.COLLECTED))
    assert items(client, table)
    assert not [item for item in items(client, table) if "gsi1pk" in item]


def test_every_item_stays_below_the_limit(client: Any, table: str, store: DynamoStore) -> None:
    listed = [replace(each, path="".join(uuid4().hex for _ in range(28))) for each in members(3000)]
    store.plan(batch(), listed)
    pieces = [item for item in items(client, table) if "data" in item]
    assert len(pieces) > 1
    assert max(len(item["data"]["B"]) for item in pieces) < ITEM_LIMIT


def test_a_plan_cut_off_before_its_row_leaves_no_batch(client: Any, table: str) -> None:
    def put(**arguments: Any) -> Any:
        if arguments["Item"]["sk"]["S"] == "BATCH":
            raise refusal("InternalServerError", 500)
        return client.put_item(**arguments)

    cut = DynamoStore(Weather(client, put_item=put), table, threads=1)
    with pytest.raises(StoreUnavailable):
        cut.plan(batch(), members(3))
    store = DynamoStore(client, table, threads=1)
    assert store.batch(BatchId("b")) is None
    assert store.members(BatchId("b")) == []
    assert list(store.batches(JOB)) == []
    assert store.due(BatchStatus.PLANNED, now=NOW, limit=10) == []


def test_keys_keep_within_their_limits_and_hold_no_control_characters_as_they_are() -> None:
    for name in ("ü" * 5000, "x" * 5000, "a\x00\x1e\x1f\n"):
        whole = dynamo_keys.document_item(document(name, job=JobName(name), group=name))
        assert len(whole["pk"]["S"].encode()) <= 2048
        assert len(whole["gsi1pk"]["S"].encode()) <= 2048
        assert len(whole["sk"]["S"].encode()) <= 1024
        assert len(whole["gsi1sk"]["S"].encode()) <= 1024
        assert "\x00" not in whole["sk"]["S"]


def test_joined_names_sort_as_the_pairs_do() -> None:
    names = ["", "a", "a\x00", "a\x1e", "a\x1f", "a\x1f@", "a b", "a!", "a#", "a-", "ab", "ü"]
    pairs = sorted((job, name) for job in names for name in names)
    joined = [
        dynamo_keys.group_item(group(name, job=JobName(job)))["gsi1sk"]["S"] for job, name in pairs
    ]
    assert joined == sorted(joined)
    assert len(set(joined)) == len(pairs)


def test_calls_stop_at_the_first_error(client: Any, table: str) -> None:
    tried: list[int] = []

    def write(**arguments: Any) -> Any:
        tried.append(len(arguments["Statements"]))
        raise refusal("ThrottlingException")

    store = DynamoStore(Weather(client, batch_execute_statement=write), table, threads=4)
    with pytest.raises(StoreUnavailable):
        store.swap_documents([document(f"{place}") for place in range(500)])
    assert set(tried) == {25}
    assert len(tried) <= 4 * 2
    store.close()


def busy_for(client: Any, code: str, *, is_done: bool) -> Callable[..., Any]:
    """A table that says of half of the statements that it is too busy, though it may do them."""

    def half(**arguments: Any) -> Any:
        asked = arguments["Statements"]
        half = len(asked) // 2
        answer = client.batch_execute_statement(
            Statements=asked if is_done else asked[: len(asked) - half]
        )
        told = answer["Responses"][: len(asked) - half]
        return {"Responses": told + [{"Error": {"Code": code, "Message": "m"}}] * half}

    return half


@pytest.mark.parametrize("is_done", [True, False])
@pytest.mark.parametrize(
    "code", ["ThrottlingError", "ProvisionedThroughputExceeded", "InternalServerError"]
)
def test_statements_that_a_busy_table_left_out_are_asked_for_again(
    client: Any, table: str, code: str, is_done: bool
) -> None:
    waits: list[float] = []
    weather = Weather(client, batch_execute_statement=busy_for(client, code, is_done=is_done))
    troubled = Table(weather, table, threads=2, sleep=waits.append)
    free = [document(f"{place:03d}") for place in range(60)]
    new = [(dynamo_keys.document_item(replace(each, rev=7)), 0) for each in free]
    assert troubled.put_many(new) == [True] * 60
    taken = [(dynamo_keys.document_item(replace(each, rev=8)), 7) for each in free]
    assert troubled.put_many(taken) == [True] * 60
    assert troubled.put_many(taken) == [False] * 60
    assert troubled.put_many(new) == [False] * 60
    assert [item["rev"] for item in items(client, table)] == [{"N": "8"}] * 60
    assert waits
    troubled.close()


def test_a_table_that_writes_nothing_is_given_up_in_bounded_time(client: Any, table: str) -> None:
    waits: list[float] = []

    def nothing(**arguments: Any) -> Any:
        told = {"Error": {"Code": "ThrottlingError", "Message": "m"}}
        return {"Responses": [told] * len(arguments["Statements"])}

    weather = Weather(client, batch_execute_statement=nothing)
    troubled = Table(weather, table, threads=1, sleep=waits.append)
    with pytest.raises(StoreUnavailable, match="throttled"):
        troubled.put_many([(dynamo_keys.document_item(document()), 0)])
    assert 0 < sum(waits) < 15
    assert items(client, table) == []


def test_a_statement_that_the_table_does_not_take_is_written_the_plain_way(
    client: Any, table: str
) -> None:
    def picky(**arguments: Any) -> Any:
        told = {"Error": {"Code": "ValidationError", "Message": "m"}}
        return {"Responses": [told] * len(arguments["Statements"])}

    store = DynamoStore(Weather(client, batch_execute_statement=picky), table, threads=4)
    assert store.swap_documents([document(f"{place}") for place in range(30)]) == set()
    [read] = store.documents(JOB, ["7"]).values()
    assert store.swap_documents([read, document("8")]) == {"8"}
    store.close()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AccessDenied", StoreUnavailable),
        ("ResourceNotFound", StoreUnusable),
        ("SomethingNew", ClientError),
    ],
)
def test_what_a_statement_is_refused_for_is_told(
    client: Any, table: str, code: str, kind: type[Exception]
) -> None:
    def refused(**arguments: Any) -> Any:
        plain = client.batch_execute_statement(**arguments)["Responses"]
        return {"Responses": [*plain[:-1], {"Error": {"Code": code, "Message": "m"}}]}

    store = DynamoStore(Weather(client, batch_execute_statement=refused), table, threads=4)
    with pytest.raises(kind):
        store.swap_documents([document("a"), document("b")])
    store.close()


def test_waits_grow_as_long_as_anything_is_left() -> None:
    waits: list[float] = []
    patience = Patience("t", waits.append)
    for left in range(30, 0, -1):
        patience.wait(left=left - 1, of=left)
    assert len(waits) == 29
    assert max(waits[:2]) <= 0.1
    assert 1 <= min(waits[-5:]) <= max(waits) <= 2


def test_only_lists_and_checkpoints_of_batches_at_their_end_ever_expire(
    client: Any, table: str, store: DynamoStore
) -> None:
    store.swap_documents([document("a")])
    done, live = (
        store.plan(replace(batch(), id=BatchId(name)), members(3)) for name in ("done", "live")
    )
    for each in (done, live):
        store.save_checkpoint(each.id, b"half")
    done = store.swap_batch(replace(done, status=BatchStatus.RELEASING))
    assert expiring(client, table) == {}
    store.swap_batch(replace(done, status=BatchStatus.RELEASED))
    at = int((done.next_at + PAPERS_KEPT).timestamp())
    assert expiring(client, table) == {
        ("BATCH#done", "CHECKPOINT"): at,
        ("BATCH#done", "MEMBERS#00000"): at,
    }
    assert store.batch(BatchId("done")) is not None


def test_a_batch_comes_to_its_end_also_where_its_list_can_not_be_let_go(
    client: Any, table: str
) -> None:
    def denied(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "Update")

    store = DynamoStore(Weather(client, update_item=denied), table, threads=4)
    planned = store.plan(batch(), members(3))
    store.swap_batch(replace(planned, status=BatchStatus.RELEASED))
    assert len(store.members(planned.id)) == 3


def expiring(client: Any, table: str) -> dict[tuple[str, str], int]:
    """What the table is to forget, and when."""
    items = client.scan(TableName=table, ConsistentRead=True)["Items"]
    return {
        (item["pk"]["S"], item["sk"]["S"]): int(item["expires"]["N"])
        for item in items
        if "expires" in item
    }
