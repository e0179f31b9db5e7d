"""The provider as a value: `apply(now, request)` answers, and time is an argument.

Nothing here waits, reads a clock, or draws a random number: what a batch has come to at some moment
follows from when it was created, how long it takes, and the seed.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import msgspec

from shared.adapters.simulator.faults import Call, Fault, Faults
from shared.adapters.simulator.messages import (
    ApiError,
    Cut,
    Request,
    Response,
    answer,
    timestamp,
)
from shared.adapters.simulator.rows import Ending, Row, plan_row, result_line, shuffled
from shared.adapters.simulator.rules import (
    MAX_BYTES,
    READ_PARAMS,
    check_headers,
    fault_of,
    read_requests,
)

BATCHES = "/v1/messages/batches"
LIFETIME = timedelta(hours=24)
_CANCELING = timedelta(milliseconds=200)
_TYPES = ("succeeded", "errored", "canceled", "expired")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """How the provider behaves when nothing goes wrong.

    `duration_s` is how long a batch takes, `output_bytes` how long a text is at least, `keys` which
    keys are taken (empty: any). Counters other than `processing` stay 0 until the whole batch has
    ended, as documented, unless `progressive_counts`, as reported.
    """

    duration_s: float = 2.0
    output_bytes: int = 0
    queue_limit: int = 500_000
    keys: tuple[str, ...] = ()
    progressive_counts: bool = False


@dataclass(slots=True, kw_only=True)
class SimulatedBatch:
    """One batch; everything else about it follows from `now`."""

    id: str
    number: int
    created_at: datetime
    duration: timedelta
    rows: list[Row]
    canceled_at: datetime | None = None

    @property
    def expires_at(self) -> datetime:
        """When what isn't finished expires."""
        return self.created_at + LIFETIME

    @property
    def ends_at(self) -> datetime:
        """When the whole batch has ended."""
        ends = min(self.created_at + self.duration, self.expires_at)
        return ends if self.canceled_at is None else min(ends, self.canceled_at + _CANCELING)

    def ending(self, row: Row) -> Ending:
        """How a row has ended once the batch has."""
        reached = self.created_at + self.duration * row.moment
        if row.error is None or row.ending is not Ending.ERRORED:
            if self.canceled_at is not None and reached > self.canceled_at:
                return Ending.CANCELED
            if reached > self.expires_at:
                return Ending.EXPIRED
        return row.ending

    def status(self, now: datetime) -> str:
        """The provider's word for how far it is."""
        if now >= self.ends_at:
            return "ended"
        return "in_progress" if self.canceled_at is None else "canceling"


def _result_type(ending: Ending) -> str:
    return ending.value if ending.value in _TYPES else "succeeded"


@dataclass(slots=True)
class Simulator:
    """The Batches API of one workspace."""

    seed: int = 0
    settings: SimulatorSettings = field(default_factory=SimulatorSettings)
    faults: Faults = field(default_factory=Faults)
    batches: dict[str, SimulatedBatch] = field(default_factory=dict)
    created: int = 0
    calls: Counter[str] = field(default_factory=Counter)

    def apply(self, now: datetime, request: Request) -> Response:
        """Answer one request, with all its effects."""
        request_id = f"req_{self._token('request', str(sum(self.calls.values())))}"
        found = _route(request)
        if found is None:
            error = ApiError(404, "not_found_error", f"Not found: {request.path}")
            return error.response(request_id)
        call, batch_id = found
        self.calls[call] += 1
        fault = self.faults.next_for(call)
        if fault is not None and fault.cut is Cut.BEFORE:
            return Response(cut=Cut.BEFORE)
        try:
            response = self._answer(now, request, call, batch_id, fault)
        except ApiError as error:
            response = error.response(request_id)
        headers = {"request-id": request_id, **response.headers}
        cut = fault.cut if fault is not None else None
        return replace(
            response, headers=headers, cut=Cut.AFTER if cut is Cut.AFTER else response.cut
        )

    def _answer(
        self, now: datetime, request: Request, call: Call, batch_id: str, fault: Fault | None
    ) -> Response:
        if call is Call.CREATE and len(request.body) > MAX_BYTES:
            error = {"type": "request_too_large", "message": "Request exceeds the maximum size"}
            return answer({"error": error}, status=413)  # from the edge: without the outer type
        scripted = fault.error() if fault is not None else None
        if scripted is not None:
            raise scripted
        check_headers(request.headers, self.settings.keys)
        match call:
            case Call.CREATE:
                return self._create(now, request)
            case Call.LIST:
                return self._list(now, request)
        batch = self._find(now, batch_id)
        match call:
            case Call.RETRIEVE:
                return answer(self._describe(now, batch, request))
            case Call.CANCEL:
                if batch.status(now) == "in_progress":
                    batch.canceled_at = now
                return answer(self._describe(now, batch, request))
            case Call.DELETE:
                return self._delete(now, batch)
            case _:
                return self._results(now, batch, fault)

    def _create(self, now: datetime, request: Request) -> Response:
        if self.faults.tier_limit:
            raise ApiError(
                429,
                "rate_limit_error",
                "Monthly spend limit of this tier reached",
                error_code="enforced_spend_limit_reached",
            )
        if self.faults.spend_limit:
            message = "You have reached your specified API usage limits. Access returns later."
            raise ApiError(400, "invalid_request_error", message)
        requests = read_requests(request.body)
        queued = sum(len(b.rows) for b in self.batches.values() if now < b.ends_at)
        if queued + len(requests) > self.settings.queue_limit:
            message = "Number of queued batch requests would exceed the limit of your organization"
            raise ApiError(429, "rate_limit_error", message)
        self.created += 1
        batch_id = f"msgbatch_{self._token('batch', str(self.created))}"
        version = request.headers.get("anthropic-version", "")
        betas = [b.strip() for b in request.headers.get("anthropic-beta", "").split(",")]
        rows = []
        for one in requests:
            try:
                params: object = READ_PARAMS.decode(one.params)  # type: ignore[arg-type]
            except msgspec.DecodeError:
                params = None
            fault = fault_of(params, version=version, betas=betas)
            known = params if isinstance(params, dict) else {}
            rows.append(
                plan_row(self.seed, batch_id, str(one.custom_id), known, fault, self.faults)
            )
        batch = SimulatedBatch(
            id=batch_id,
            number=self.created,
            created_at=now,
            duration=timedelta(seconds=self.settings.duration_s),
            rows=rows,
        )
        self.batches[batch_id] = batch
        return answer(self._describe(now, batch, request))

    def _list(self, now: datetime, request: Request) -> Response:
        try:
            limit = int(request.query.get("limit", "20"))
        except ValueError:
            limit = 0
        if not 1 <= limit <= 1000:
            raise ApiError(400, "invalid_request_error", "limit: must be from 1 to 1000")
        lag = timedelta(seconds=self.faults.listing_lag_s)
        shown = [b for b in self.batches.values() if b.created_at + lag <= now]
        shown.sort(key=lambda b: (b.created_at, b.number), reverse=True)
        ids = [b.id for b in shown]
        after, before = request.query.get("after_id"), request.query.get("before_id")
        if after is not None:
            shown = shown[ids.index(after) + 1 :] if after in ids else []
            page, more = shown[:limit], len(shown) > limit
        elif before is not None:
            shown = shown[: ids.index(before)] if before in ids else []
            page, more = shown[-limit:], len(shown) > limit
        else:
            page, more = shown[:limit], len(shown) > limit
        return answer(
            {
                "data": [self._describe(now, batch, request) for batch in page],
                "has_more": more,
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
            }
        )

    def _delete(self, now: datetime, batch: SimulatedBatch) -> Response:
        if batch.status(now) != "ended":
            raise ApiError(
                400,
                "invalid_request_error",
                "In progress batches cannot be deleted. Consider canceling the batch instead.",
            )
        del self.batches[batch.id]
        return answer({"id": batch.id, "type": "message_batch_deleted"})

    def _results(self, now: datetime, batch: SimulatedBatch, fault: Fault | None) -> Response:
        if batch.status(now) != "ended":
            message = f"Message Batch {batch.id} has no available results."
            raise ApiError(404, "not_found_error", message)
        lines = self._lines(batch)
        cut = fault.cut if fault is not None else None
        if fault is not None and cut in (Cut.MID_LINE, Cut.LINE_END):
            lines = _cut_off(lines, fault.lines, cut)
        return Response(headers={"content-type": "application/x-jsonl"}, lines=lines, cut=cut)

    def _lines(self, batch: SimulatedBatch) -> Iterator[bytes]:
        again: list[bytes] = []
        for row in shuffled(batch.rows, seed=self.seed, batch=batch.id):
            line = result_line(
                row,
                batch.ending(row),
                seed=self.seed,
                output_bytes=self.settings.output_bytes,
            )
            if len(again) < self.faults.duplicate_lines:
                again.append(line)
            yield line
        yield from again
        yield from [b'{"custom_id": "cut\n'] * self.faults.malformed_lines
        stray = b'{"custom_id":"nobodys","result":{"type":"canceled"}}\n'
        yield from [stray] * self.faults.stray_lines

    def _find(self, now: datetime, batch_id: str) -> SimulatedBatch:
        batch = self.batches.get(batch_id)
        hidden = timedelta(seconds=self.faults.not_found_s)
        if batch is None or now < batch.created_at + hidden:
            raise ApiError(404, "not_found_error", f"Message Batch {batch_id} not found.")
        return batch

    def _describe(
        self, now: datetime, batch: SimulatedBatch, request: Request
    ) -> dict[str, object]:
        ended = batch.status(now) == "ended"
        counts = self._counts(now, batch)
        url = f"http://{request.headers.get('host', 'localhost')}{BATCHES}/{batch.id}/results"
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": batch.status(now),
            "request_counts": counts,
            "created_at": timestamp(batch.created_at),
            "expires_at": timestamp(batch.expires_at),
            "ended_at": timestamp(batch.ends_at) if ended else None,
            "cancel_initiated_at": timestamp(batch.canceled_at),
            "archived_at": None,
            "results_url": url if ended else None,
        }

    def _counts(self, now: datetime, batch: SimulatedBatch) -> dict[str, int]:
        counts = dict.fromkeys(("processing", *_TYPES), 0)
        ended = batch.status(now) == "ended"
        if not ended and not self.settings.progressive_counts:
            return {**counts, "processing": len(batch.rows)}
        for row in batch.rows:
            reached = ended or batch.created_at + batch.duration * row.moment <= now
            counts[_result_type(batch.ending(row)) if reached else "processing"] += 1
        if ended:
            counts["succeeded"] += self.faults.wrong_counts
        return counts

    def dump(self, batch_id: str) -> bytes | None:
        """One batch, to be kept over a restart; None when it was deleted."""
        batch = self.batches.get(batch_id)
        return None if batch is None else msgspec.json.encode(batch)

    def load(self, data: bytes) -> None:
        """Take up a batch that was dumped."""
        batch = msgspec.json.decode(data, type=SimulatedBatch)
        self.batches[batch.id] = batch
        self.created = max(self.created, batch.number)

    def _token(self, *parts: str) -> str:
        text = "\x00".join((str(self.seed), *parts)).encode()
        return hashlib.blake2b(text, digest_size=12).hexdigest()


def _cut_off(lines: Iterator[bytes], after: int, cut: Cut) -> Iterator[bytes]:
    for number, line in enumerate(lines):
        if number == after:
            if cut is Cut.MID_LINE:
                yield line[: len(line) // 2]
            return
        yield line


def _route(request: Request) -> tuple[Call, str] | None:
    """Which call it is, and of which batch."""
    path = request.path.rstrip("/")
    if path == BATCHES:
        calls = {"POST": Call.CREATE, "GET": Call.LIST}
        return (calls[request.method], "") if request.method in calls else None
    if not path.startswith(BATCHES + "/"):
        return None
    batch_id, _, action = path.removeprefix(BATCHES + "/").partition("/")
    routes = {
        ("GET", ""): Call.RETRIEVE,
        ("DELETE", ""): Call.DELETE,
        ("POST", "cancel"): Call.CANCEL,
        ("GET", "results"): Call.RESULTS,
    }
    call = routes.get((request.method, action))
    return None if call is None else (call, batch_id)
