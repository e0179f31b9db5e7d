"""What a load costs: what was counted, made as large as asked for, times infra/prices.toml.

What small loads can't tell is added: the checkpoints of batches that are full, and the publishing
of a large job while it goes on.
"""

import math
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from shared.adapters.dynamo_keys import checkpoint_item
from shared.app import results
from shared.domain.ids import BatchId
from shared.domain.policy import MAX_BATCH_REQUESTS
from shared.wiring.metrics import METRICS
from tests.aws import TEMPLATE, template
from tests.cost.load import FUNCTIONS, GROUPS, Load, run
from tests.cost.meter import Units, add, item_bytes

PRICES = TEMPLATE.with_name("prices.toml")
_CORE_MB = 1769
"""A function of this memory has one core; https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""

THREADS = 16
"""Waits at a time: those of the table's and the bucket's adapters."""

_FREE_DISK_MB = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of the bill."""

    service: str
    what: str
    count: Decimal
    per: int
    usd_per: Decimal

    @property
    def usd(self) -> Decimal:
        """What it comes to."""
        return self.count * self.usd_per / self.per


@cache
def prices() -> dict[str, Any]:
    """The price list and the assumptions."""
    return tomllib.loads(PRICES.read_text(encoding="utf-8"))


def assumed() -> dict[str, Any]:
    """What a run on this machine can't tell."""
    found: dict[str, Any] = prices()["assumed"]
    return found


def lines(units: Mapping[str, float]) -> list[Line]:
    """The bill of these units, in the price list's order. Raises where a unit has no price."""
    listed = {each["unit"]: each for each in prices()["prices"]}
    unpriced = units.keys() - listed.keys()
    assert not unpriced, f"no price is known of {unpriced}"
    return [
        Line(
            service=each["service"],
            what=each["what"],
            count=Decimal(str(round(units[unit], 6))),
            per=each["per"],
            usd_per=Decimal(each["usd"]),
        )
        for unit, each in listed.items()
        if units.get(unit)
    ]


def total(found: list[Line]) -> Decimal:
    """What they come to together."""
    return sum((line.usd for line in found), Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loads:
    """Three loads: of few documents and of many, each taken in by one call, and of many by several.
    They tell what a document uses, what a call of intake uses, and what a group does."""

    few: Load
    many: Load
    split: Load

    def of(self, name: str, kind: str, documents: int) -> Units:
        """The `units` or `waits` of a function in a load of so many documents."""
        few, many, split = (
            getattr(load.by_function[name], kind) for load in (self.few, self.many, self.split)
        )
        calls = math.ceil(documents / assumed()["uploads_per_call"])
        found: Units = {}
        for unit in few.keys() | many.keys() | split.keys():
            less, more = few.get(unit, 0), many.get(unit, 0)
            per_document = (more - less) / (self.many.documents - self.few.documents)
            per_call = (split.get(unit, 0) - more) / (self.split.calls - self.many.calls)
            grown = per_document * (documents - self.few.documents) + per_call * (calls - 1)
            found[unit] = max(less + grown, 0)
        return found


def counted(documents: int) -> Loads:
    """Loads of a quarter of the documents and of all, taken in at once and by four calls."""
    shapes = ((documents // 4, documents), (documents, documents), (documents, documents // 4))
    few, many, split = run(shapes, document_bytes=assumed()["document_bytes"])
    return Loads(few=few, many=many, split=split)


def load_units(loads: Loads, *, documents: int) -> Units:
    """The units of a load of so many documents, in GROUPS groups."""
    total_units: Units = {}
    for name in FUNCTIONS:
        used = loads.of(name, "units", documents)
        seconds = _cpu_s(name, documents) + _waited_s(loads.of(name, "waits", documents))
        add(used, _calls(name, used["lambda_request"], seconds))
        add(total_units, used, assumed()["publishes"] if name == "Reconcile" else 1)
    add(total_units, {"table_write": _checkpoints(documents)})
    return total_units


def uploads_units(documents: int) -> Units:
    """What putting them into the bucket costs whoever does it."""
    return {"s3_write": documents}


def month_units(load: Load) -> Units:
    """A month of the stack at rest: its timers tick, its queues are asked, its alarms watch."""
    month = assumed()["month"]
    declared = template()
    kinds = Counter(each["Type"] for each in declared["Resources"].values())
    units: Units = {
        "alarm": kinds["AWS::CloudWatch::Alarm"],
        "dashboard": kinds["AWS::CloudWatch::Dashboard"],
        "secret": kinds["AWS::SecretsManager::Secret"],
        "metric": sum(map(len, METRICS.values())),
    }
    queues = sum(
        event["Type"] == "SQS"
        for function in _functions().values()
        for event in function["Events"].values()
    )
    asked = month["hours"] * 3600 / month["poll_seconds"] * month["pollers_per_queue"]
    add(units, {"sqs_request": queues * asked})
    for name, used in load.idle.items():
        if used.units:
            ticks = month["hours"] * 60 / declared["Parameters"][f"{name}Minutes"]["Default"]
            seconds = used.cpu_s * slowdown(name) + _waited_s(used.waits)
            add(units, used.units, ticks)
            add(units, _calls(name, 1, seconds), ticks)
            add(units, {"tick": ticks})
    return units


def measured_cpu_ms(loads: Loads) -> dict[str, float]:
    """CPU of this machine per document, to compare with what is assumed."""
    more = loads.many.documents - loads.few.documents
    few, many = loads.few.by_function, loads.many.by_function
    return {name: 1000 * (many[name].cpu_s - few[name].cpu_s) / more for name in FUNCTIONS}


def _calls(name: str, calls: float, seconds: float) -> Units:
    """What calls of a function cost by themselves that take so long together."""
    return {
        "lambda_gb_s": seconds * _memory_mb(name) / 1024,
        "lambda_disk_gb_s": seconds * _disk_mb(name) / 1024,
        "log_byte": calls * assumed()["month"]["platform_log_bytes"],
        "trace": calls,
    }


def slowdown(name: str) -> float:
    """How much longer a second of a whole core takes at its share of one."""
    return max(1.0, _CORE_MB / _memory_mb(name))


def _cpu_s(name: str, documents: int) -> float:
    core_ms: float = documents * assumed()["cpu_ms"][name]
    return core_ms / 1000 * slowdown(name)


def _waited_s(waits: Mapping[str, float]) -> float:
    """How long its answers take to come, as if it did nothing meanwhile."""
    seconds = 0.0
    for kind, count in waits.items():
        seconds += count * assumed()[kind] / 1000 / (1 if kind == "other_ms" else THREADS)
    return seconds


def _checkpoints(documents: int) -> int:
    """Write units of checkpoints: a bit per request of a batch, written whole after each flush."""
    per_batch = min(math.ceil(documents / GROUPS), MAX_BATCH_REQUESTS)
    units = 0
    for flush in range(1, math.ceil(per_batch / results._FLUSH_LINES) + 1):
        settled = b"\xff" * (flush * results._FLUSH_LINES // 8)
        data = results._encode(results.Checkpoint(settled=settled))
        item = checkpoint_item(BatchId("x" * 12), data)
        units += math.ceil((item_bytes({"pk": item["pk"], "sk": item["sk"]}) + len(data)) / 1024)
    return units * math.ceil(documents / per_batch)


@cache
def _functions() -> dict[str, dict[str, Any]]:
    return {
        name: each["Properties"]
        for name, each in template()["Resources"].items()
        if each["Type"] == "AWS::Serverless::Function"
    }


def _memory_mb(name: str) -> int:
    found: int = _functions()[name]["MemorySize"]
    return found


def _disk_mb(name: str) -> int:
    found: int = _functions()[name].get("EphemeralStorage", {}).get("Size", _FREE_DISK_MB)
    return found - _FREE_DISK_MB
