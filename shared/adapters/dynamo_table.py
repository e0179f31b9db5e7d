"""How the table is spoken to: conditional, paginated, a few calls at a time, errors translated.

The client is injected. It should be made with
`Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=10,
max_pool_connections=threads)`: botocore's retries are bounded there, and what outlasts them is
StoreUnavailable here.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import uuid4

from botocore.exceptions import ClientError

from shared.adapters import dynamo_statements as statements
from shared.adapters.dynamo_errors import Patience, translated
from shared.adapters.dynamo_keys import Item, number, text
from shared.adapters.dynamo_statements import Told

_BATCH_GET = 100
"""Keys per BatchGetItem (DynamoDB quota)."""

T = TypeVar("T")
U = TypeVar("U")


class Table:
    """One table, through at most `threads` calls at a time."""

    def __init__(
        self,
        client: Any,
        name: str,
        *,
        threads: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self._client = client
        self._threads = threads
        self._sleep = sleep
        self._pool: ThreadPoolExecutor | None = None

    def get(self, key: Item) -> Item | None:
        """One item as it is now."""
        answer = self._call("get_item", Key=key, ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item

    def get_many(self, keys: Sequence[Item]) -> list[Item]:
        """Those of the items that are there, as they are now, in any order."""
        parts = [keys[start : start + _BATCH_GET] for start in range(0, len(keys), _BATCH_GET)]
        return [item for items in self.each(self._get_part, parts) for item in items]

    def put(self, item: Item, *, rev: int = 0) -> bool:
        """Write an item if the stored one has this revision; 0: if none is stored.

        A write whose answer got lost is repeated by botocore, and then meets itself: its token
        tells that from somebody else's write, or a caller would disown what it holds.
        """
        return self._put(item, rev=rev, token=uuid4().hex)

    def put_many(self, writes: Sequence[tuple[Item, int]]) -> list[bool]:
        """`put` for each item and revision, in their order; no key may appear twice."""
        size = statements.PER_CALL
        parts = [writes[start : start + size] for start in range(0, len(writes), size)]
        return [won for part in self.each(self._put_part, parts) for won in part]

    def overwrite(self, item: Item) -> None:
        """Write an item whatever is stored."""
        self._call("put_item", Item=item)

    def expire(self, key: Item, *, at: int) -> None:
        """Have an item that is there removed by the table some time after `at` (Unix seconds)."""
        self._lost(
            "update_item",
            Key=key,
            UpdateExpression="SET expires = :at",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeValues={":at": number(at)},
        )

    def delete(self, key: Item, *, rev: int) -> bool:
        """Remove an item if it has this revision; whether none is left."""
        lost = self._lost(
            "delete_item",
            Key=key,
            ConditionExpression="attribute_not_exists(pk) OR rev = :rev",
            ExpressionAttributeValues={":rev": number(rev)},
        )
        return lost is None

    def query(
        self,
        pk: str,
        *,
        index: str = "",
        prefix: str = "",
        until: str = "",
        fields: Sequence[str] = (),
        limit: int | None = None,
    ) -> Iterator[list[Item]]:
        """A partition's items in order, page by page; consistent unless read from an index.

        `limit` bounds a page, not the whole.
        """
        names = {"#pk": f"{index}pk" if index else "pk"}
        values = {":pk": text(pk)}
        condition = "#pk = :pk"
        if prefix or until:
            names["#sk"] = f"{index}sk" if index else "sk"
            values[":sk"] = text(prefix or until)
            condition += " AND begins_with(#sk, :sk)" if prefix else " AND #sk <= :sk"
        asked: dict[str, Any] = {"IndexName": index} if index else {"ConsistentRead": True}
        if fields:
            shown = {f"#{place}": name for place, name in enumerate(fields)}
            asked["ProjectionExpression"] = ", ".join(shown)
            names |= shown
        if limit is not None:
            asked["Limit"] = limit
        while True:
            answer = self._call(
                "query",
                KeyConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                **asked,
            )
            yield answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def each(self, work: Callable[[T], U], items: Sequence[T]) -> list[U]:
        """The work on each, in the items' order, on the threads; the first error stops all."""
        threads = min(self._threads, len(items))
        if threads <= 1:
            return [work(item) for item in items]
        done: dict[int, U] = {}
        stopped = threading.Event()

        def stripe(first: int) -> None:
            for place in range(first, len(items), threads):
                if stopped.is_set():
                    return
                try:
                    done[place] = work(items[place])
                except BaseException:
                    stopped.set()
                    raise

        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="dynamo")
        futures = [self._pool.submit(stripe, first) for first in range(threads)]
        errors = [error for error in (future.exception() for future in futures) if error]
        if errors:
            raise errors[0]
        return [done[place] for place in range(len(items))]

    def close(self) -> None:
        """End the threads; the client stays the caller's."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _put(self, item: Item, *, rev: int, token: str) -> bool:
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if rev:
            condition = {
                "ConditionExpression": "rev = :rev",
                "ExpressionAttributeValues": {":rev": number(rev)},
            }
        lost = self._lost(
            "put_item",
            Item=item | {"token": text(token)},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **condition,
        )
        return lost is None or lost.get("token") == text(token)

    def _put_part(self, writes: Sequence[tuple[Item, int]]) -> list[bool]:
        """At most one call's worth; what the table is too busy for is asked again."""
        token = uuid4().hex
        won = [False] * len(writes)
        left = list(range(len(writes)))
        patience = Patience(self.name, self._sleep)
        while left:
            told = dict(
                zip(left, self._told([writes[place] for place in left], token), strict=True)
            )
            for place, each in told.items():
                won[place] = each is Told.WON
                if each is Told.REFUSED:  # then alone: or the table says what is wrong with it
                    item, rev = writes[place]
                    won[place] = self._put(item, rev=rev, token=token)
            met = [place for place, each in told.items() if each is Told.MET]
            for place, is_own in zip(
                met, self._own([writes[p][0] for p in met], token), strict=True
            ):
                won[place] = is_own
            busy = [place for place, each in told.items() if each is Told.BUSY]
            patience.wait(left=len(busy), of=len(left))
            left = busy
        return won

    def _told(self, writes: Sequence[tuple[Item, int]], token: str) -> list[Told]:
        asked = [statements.write(self.name, item, rev=rev, token=token) for item, rev in writes]
        with translated(self.name):
            answers = self._client.batch_execute_statement(Statements=asked)["Responses"]
            told = [statements.told(each, token) for each in answers]
            if Told.FAILED in told:
                failed = answers[told.index(Told.FAILED)]
                raise ClientError({"Error": failed["Error"]}, "BatchExecuteStatement")
        return told

    def _own(self, items: Sequence[Item], token: str) -> list[bool]:
        """Which of the items are stored as this token's writes."""
        if not items:
            return []
        stored = self._get_part([statements.key_of(item) for item in items])
        own = [statements.key_of(item) for item in stored if item.get("token") == text(token)]
        return [statements.key_of(item) in own for item in items]

    def _get_part(self, keys: Sequence[Item]) -> list[Item]:
        found: list[Item] = []
        left = list(keys)
        patience = Patience(self.name, self._sleep)
        while left:
            asked = {self.name: {"Keys": left, "ConsistentRead": True}}
            with translated(self.name):
                answer = self._client.batch_get_item(RequestItems=asked)
            found += answer["Responses"].get(self.name, [])
            unread = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            patience.wait(left=len(unread), of=len(left))
            left = unread
        return found

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        with translated(self.name):
            answer: dict[str, Any] = getattr(self._client, operation)(
                TableName=self.name, **arguments
            )
        return answer

    def _lost(self, operation: str, **arguments: Any) -> Item | None:
        """None when the condition held, else the item that stood against it, as far as shown."""
        try:
            self._call(operation, **arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            held: Item = error.response.get("Item", {})
            return held
        return None
