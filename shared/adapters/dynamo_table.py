"""How the table is spoken to: conditional, paginated, a few calls at a time, errors translated.

The client is injected. It should be made with
`Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=10,
max_pool_connections=threads)`: botocore's retries are bounded there, and what outlasts them is
StoreUnavailable here.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import uuid4

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from shared.adapters.dynamo_keys import Item, number, text
from shared.ports.store import StoreUnavailable, StoreUnusable

_BATCH_GET = 100
"""Keys per BatchGetItem (DynamoDB quota)."""

_ROUNDS = 8
"""Answers in a row without any of the keys asked for, before they count as unavailable."""

_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 2.0

_PASSING = frozenset(
    {
        "InternalServerError",
        "ItemCollectionSizeLimitExceededException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
    }
)
_CREDENTIALS = frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    }
)

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
        token = text(uuid4().hex)
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if rev:
            condition = {
                "ConditionExpression": "rev = :rev",
                "ExpressionAttributeValues": {":rev": number(rev)},
            }
        lost = self._lost(
            "put_item",
            Item=item | {"token": token},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **condition,
        )
        return lost is None or lost.get("token") == token

    def overwrite(self, item: Item) -> None:
        """Write an item whatever is stored."""
        self._call("put_item", Item=item)

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

    def _get_part(self, keys: Sequence[Item]) -> list[Item]:
        found: list[Item] = []
        left = list(keys)
        rounds = 0
        while left:
            answer = self._call_many({self.name: {"Keys": left, "ConsistentRead": True}})
            found += answer["Responses"].get(self.name, [])
            unread = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            rounds = rounds + 1 if len(unread) == len(left) else 0
            if rounds == _ROUNDS:
                raise StoreUnavailable(f"the table {self.name} is throttled: try again later")
            if unread:
                wait = min(_FIRST_WAIT_S * 2**rounds, _LONGEST_WAIT_S)
                self._sleep(wait * random.uniform(0.5, 1))
            left = unread
        return found

    def _call_many(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self._translated(lambda: self._client.batch_get_item(RequestItems=asked))

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        call = getattr(self._client, operation)
        return self._translated(lambda: call(TableName=self.name, **arguments))

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

    def _translated(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return call()
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code == "ResourceNotFoundException":
                raise StoreUnusable(
                    f"there is no table {self.name}, or it lacks its indexes: deploy the stack"
                ) from error
            if code in _CREDENTIALS:
                message = f"these credentials may not use the table {self.name} ({code})"
                raise StoreUnavailable(message) from error
            if code in _PASSING or status >= 500:
                message = f"the table {self.name} doesn't answer now ({code})"
                raise StoreUnavailable(message) from error
            raise
        except (
            BotoConnectionError,
            HTTPClientError,
            NoCredentialsError,
            PartialCredentialsError,
        ) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: BotoCoreError) -> StoreUnavailable:
        return StoreUnavailable(f"the table {self.name} can't be reached ({error})")
