"""What AWS would bill for the calls that reach moto, in its own units.

DynamoDB: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html
A write unit is 1 KB of the larger of the item before and after, in the table and in each index that
it touches, also where a condition fails; a read unit is 4 KB, half of one where it may be stale.
moto makes capacity up, so items are kept here as they are written, and measured.
"""

import json
import math
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

from shared.adapters.dynamo_keys import Item
from tests.infra.calls import asked
from tests.moto_statements import parsed

Units = dict[str, float]
"""How much of what is billed, by the price list's names."""

_WRITE, _READ, _PIECE = 1024, 4096, 64 * 1024
_INDEX_KEYS = {"gsi1": ("gsi1pk", "gsi1sk"), "gsi2": ("gsi2pk",)}
_KEYS_ONLY = {"gsi2": ("pk", "sk", "gsi2pk")}
"""Indexes that hold keys alone, as infra/template.yaml has them."""

_WRITES = frozenset({"PutItem", "DeleteItem"})
_TAKEN_S3 = {"s3:PutObject": "s3_write", "s3:ListBucket": "s3_write", "s3:GetObject": "s3_read"}
_FREE_S3 = frozenset({"s3:DeleteObject", "s3:AbortMultipartUpload"})


def add(to: Units, more: Mapping[str, float], times: float = 1) -> None:
    """Add up what is used, so many times."""
    for unit, count in more.items():
        to[unit] = to.get(unit, 0) + count * times


def item_bytes(item: Item) -> int:
    """An item's size as DynamoDB counts it: names, and values of strings, numbers and bytes."""
    total = 0
    for name, value in item.items():
        [(kind, said)] = value.items()
        total += len(name.encode())
        match kind:
            case "S":
                total += len(said.encode())
            case "N":
                total += math.ceil(len(said.lstrip("-").replace(".", "")) / 2) + 1
            case "B":
                total += len(said) * 3 // 4  # base64 on the wire
            case _:
                raise AssertionError(f"{name} is of kind {kind}, which nobody has measured")
    return total


def _units(size: int, unit: int) -> int:
    return max(1, math.ceil(size / unit))


def write_units(before: Item | None, after: Item | None) -> int:
    """Of one write in the table and its indexes."""
    sizes = [item_bytes(item) for item in (before, after) if item is not None]
    units = _units(max(sizes, default=0), _WRITE)
    for index, keys in _INDEX_KEYS.items():
        one, other = _indexed(before, index), _indexed(after, index)
        if one == other:
            continue
        moved = one and other and [one[key] for key in keys] != [other[key] for key in keys]
        if moved:
            units += sum(_units(item_bytes(each), _WRITE) for each in (one, other) if each)
        else:
            units += max(_units(item_bytes(each), _WRITE) for each in (one, other) if each)
    return units


def _indexed(item: Item | None, index: str) -> Item | None:
    """What the index holds of an item."""
    if item is None or any(key not in item for key in _INDEX_KEYS[index]):
        return None
    held = _KEYS_ONLY.get(index)
    return item if held is None else {name: item[name] for name in held}


@dataclass(slots=True)
class Meter:
    """Units by the function that was `running`, and how many calls it waited for, by how long each
    is assumed to take. What comes while none runs is the test's own."""

    running: str = ""
    used: defaultdict[str, Units] = field(default_factory=lambda: defaultdict(dict))
    waits: defaultdict[str, Units] = field(default_factory=lambda: defaultdict(dict))
    _items: dict[tuple[str, str], Item] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def of(self, function: str) -> Iterator[None]:
        """What comes meanwhile is this function's. Not for several at once."""
        self.running = function
        try:
            yield
        finally:
            self.running = ""

    def note(self, environ: dict[str, Any], body: bytes, status: int, answer: bytes) -> None:
        """Count one call that was answered."""
        if self.running:
            with self._lock:
                self._note(environ, body, status, answer)

    def _note(self, environ: dict[str, Any], body: bytes, status: int, answer: bytes) -> None:
        target = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")
        if target[0].startswith("DynamoDB"):
            units = self._table(target[2], json.loads(body), status, answer)
            self._add("dynamodb_ms", units)
            return
        [call] = asked(environ, body)
        match call.action.partition(":")[0]:
            case "s3":
                if call.action in _FREE_S3:
                    return
                unit = _TAKEN_S3[call.action]
                self._add("s3_write_ms" if unit == "s3_write" else "s3_read_ms", {unit: 1})
            case "sqs":
                self._add("other_ms", {"sqs_request": _units(len(body), _PIECE)})
            case "events":
                self._add("other_ms", {"event": _units(len(body), _PIECE)})
            case "secretsmanager":
                self._add("other_ms", {"secret_read": 1})
            case "lambda":
                self._add("other_ms", {})
            case other:
                raise AssertionError(f"nobody knows what {other} costs")

    def _add(self, wait: str, units: Units) -> None:
        add(self.used[self.running], units)
        add(self.waits[self.running], {wait: 1})

    def _table(self, operation: str, said: dict[str, Any], status: int, answer: bytes) -> Units:
        if operation in _WRITES:
            return {"table_write": self._written(operation, said, done=status == 200)}
        match operation:
            case "GetItem":
                return {"table_read": self._got(said["Key"], consistent=said["ConsistentRead"])}
            case "BatchGetItem":
                [wanted] = said["RequestItems"].values()
                consistent = wanted["ConsistentRead"]
                got = (self._got(key, consistent=consistent) for key in wanted["Keys"])
                return {"table_read": sum(got)}
            case "UpdateItem":  # of a list or a checkpoint, which stays as large as it was
                held = self._items.get(_place(said["Key"]), {})
                return {"table_write": _units(item_bytes(held), _WRITE)}
            case "BatchExecuteStatement":
                answers = json.loads(answer)["Responses"]
                pairs = zip(said["Statements"], answers, strict=True)
                return {"table_write": sum(self._executed(*pair) for pair in pairs)}
            case "Query":
                return {"table_read": self._queried(said, json.loads(answer))}
        raise AssertionError(f"nobody knows what {operation} costs")

    def _written(self, operation: str, said: dict[str, Any], *, done: bool) -> int:
        after = said["Item"] if operation == "PutItem" else None
        place = _place(after or said["Key"])
        before = self._items.get(place)
        if not done:  # its condition failed
            return _units(item_bytes(before or {}), _WRITE)
        if after is None:
            self._items.pop(place, None)
        else:
            self._items[place] = after
        return write_units(before, after)

    def _executed(self, said: dict[str, Any], answer: dict[str, Any]) -> int:
        statement = parsed(said)
        assert statement is not None, said["Statement"]
        place = _place(statement.key)
        before = self._items.get(place)
        if "Error" in answer:
            return _units(item_bytes(before or {}), _WRITE)
        after = self._items[place] = statement.after(before or {})
        return write_units(before, after)

    def _got(self, key: Item, *, consistent: bool) -> float:
        size = item_bytes(self._items.get(_place(key), {}))
        return _units(size, _READ) * (1 if consistent else 0.5)

    def _queried(self, said: dict[str, Any], answer: dict[str, Any]) -> float:
        """By the mean size of what the partition holds: an answer may show parts of items only."""
        index = said.get("IndexName", "")
        name, pk = f"{index}pk" if index else "pk", said["ExpressionAttributeValues"][":pk"]
        begin = said["ExpressionAttributeValues"].get(":sk", {}).get("S", "")
        begins = begin if "begins_with" in said["KeyConditionExpression"] else ""
        sort = f"{index}sk" if index else "sk"
        sizes = [
            item_bytes(_indexed(item, index) or {} if index else item)
            for item in self._items.values()
            if item.get(name) == pk and item.get(sort, {"S": ""})["S"].startswith(begins)
        ]
        read = answer["ScannedCount"] * (sum(sizes) / len(sizes) if sizes else 0)
        return _units(math.ceil(read), _READ) * (1 if said.get("ConsistentRead") else 0.5)


def _place(item: Item) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


@contextmanager
def metered() -> Iterator[Meter]:
    """Every call to every moto server of this process; one to a Lambda function is only counted."""
    meter = Meter()
    plain = DomainDispatcherApplication.__call__

    def measuring(app: DomainDispatcherApplication, environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        if "/invocations" in environ["PATH_INFO"]:
            meter.note(environ, body, 202, b"")
            start_response("202 Accepted", [("Content-Length", "0")])
            return [b""]
        told: list[str] = []

        def begun(status: str, headers: Any, *more: Any) -> Any:
            told.append(status)
            return start_response(status, headers, *more)

        answer = b"".join(plain(app, environ, begun))
        meter.note(environ, body, int(told[0].split()[0]), answer)
        return [answer]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DomainDispatcherApplication, "__call__", measuring)
        yield meter
