"""The provider as a value: `apply(now, request)` answers, and time is an argument.

Nothing here waits, reads a clock, or draws a random number: what a batch has come to at some moment
follows from when it was created, how long it takes, and the seed.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from shared.adapters.simulator.batches import LIFETIME, SimulatedBatch
from shared.adapters.simulator.cache import Cache
from shared.adapters.simulator.faults import Call, Fault, Faults
from shared.adapters.simulator.listing import page_of
from shared.adapters.simulator.messages import (
    ApiError,
    Cut,
    Framing,
    Request,
    Response,
    answer,
)
from shared.adapters.simulator.prompt import read_prompt
from shared.adapters.simulator.rows import plan_row, result_line, share, shuffled
from shared.adapters.simulator.rules import (
    RawRequest,
    check_headers,
    fault_of,
    read_params,
    read_requests,
)
from shared.adapters.simulator.settings import SimulatorSettings
from shared.adapters.simulator.structured import schema_of
from shared.adapters.simulator.token_counts import COUNT_TOKENS, count

_MALFORMED = b'{"custom_id": "cut\n'
_STRAY = b'{"custom_id":"nobodys","result":{"type":"canceled"}}\n'

BATCHES = "/v1/messages/batches"

__all__ = [
    "BATCHES",
    "COUNT_TOKENS",
    "LIFETIME",
    "SimulatedBatch",
    "Simulator",
    "SimulatorSettings",
]


@dataclass(slots=True)
class Simulator:
    """The Batches API of one workspace."""

    seed: int = 0
    settings: SimulatorSettings = field(default_factory=SimulatorSettings)
    faults: Faults = field(default_factory=Faults)
    batches: dict[str, SimulatedBatch] = field(default_factory=dict)
    created: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    cache: Cache = field(default_factory=Cache)

    def apply(self, now: datetime, request: Request) -> Response:
        """Answer one request, with all its effects."""
        number = str(sum(self.calls.values()))
        request_id = f"req_{self._token('request', number)}"
        fault: Fault | None = None
        try:
            call, batch_id = _route(request)
            self.calls[call] += 1
            fault = self.faults.next_for(call, share(self.seed, "fault", number))
            if fault is not None and fault.cut is Cut.BEFORE:
                return Response(cut=Cut.BEFORE, delay_s=fault.delay_s)
            response = self._answer(now, request, call, batch_id, fault)
        except ApiError as error:
            response = error.response(request_id)
        scripted = fault.error() if fault is not None else None
        if scripted is not None and fault is not None and fault.after_effect:
            response = replace(scripted.response(request_id), saves=response.saves)
        headers = {
            "request-id": request_id,
            "anthropic-organization-id": "org_simulated",
            **response.headers,
        }
        if fault is None:
            return replace(response, headers=headers)
        cut = Cut.AFTER if fault.cut is Cut.AFTER else response.cut
        return replace(response, headers=headers, cut=cut, delay_s=fault.delay_s)

    def tick(self, now: datetime) -> list[str]:
        """Forget the rows of batches whose results are gone; the answer is which to save."""
        gone = [b for b in self.batches.values() if b.rows and b.archived(now)]
        for batch in gone:
            batch.let_go(now)
        return [batch.id for batch in gone]

    def _answer(
        self, now: datetime, request: Request, call: Call, batch_id: str, fault: Fault | None
    ) -> Response:
        if request.body_length > self.settings.max_bytes:
            error = {"type": "request_too_large", "message": "Request exceeds the maximum size"}
            return answer({"error": error}, status=413)  # from the edge: without the outer type
        scripted = fault.error() if fault is not None and not fault.after_effect else None
        if scripted is not None:
            raise scripted
        check_headers(request.headers, self.settings.keys)
        match call:
            case Call.CREATE:
                return self._create(now, request)
            case Call.LIST:
                return self._list(now, request)
            case Call.COUNT_TOKENS:
                return count(request.body)
        batch = self._find(now, batch_id)
        match call:
            case Call.RETRIEVE:
                return answer(self._describe(now, batch, request))
            case Call.CANCEL:
                return self._cancel(now, batch, request)
            case Call.DELETE:
                return self._delete(now, batch)
            case _:
                return self._results(now, batch, fault)

    def _create(self, now: datetime, request: Request) -> Response:
        self._check_spending(now)
        requests = read_requests(request.body)
        self._check_queue(now, len(requests))
        number = self.created + 1
        batch_id = f"msgbatch_{self._token('batch', str(number))}"
        batch = SimulatedBatch(
            id=batch_id,
            number=number,
            created_at=now,
            duration=timedelta(seconds=self.settings.duration_s),
            rows=[],
        )
        version = request.headers.get("anthropic-version", "")
        betas = [b.strip() for b in request.headers.get("anthropic-beta", "").split(",")]
        self.cache.tick(now)
        for one in requests:
            self._plan(batch, one, version, betas)
        self.created = number
        self.batches[batch_id] = batch
        described = batch.describe_new(host=_host(request), path=BATCHES)
        return replace(answer(described), saves=batch_id)

    def _plan(self, batch: SimulatedBatch, one: RawRequest, version: str, betas: list[str]) -> None:
        params = read_params(one)
        fault = fault_of(params, version=version, betas=betas)
        known = params if isinstance(params, dict) else {}
        schema = None
        if fault is None:
            schema = batch.place_of(schema_of(known) or self._schema_of_begun(known))
        batch.rows.append(
            plan_row(
                self.seed,
                batch.id,
                str(one.custom_id),
                known,
                fault,
                self.faults,
                self.cache,
                schema,
            )
        )

    def _schema_of_begun(self, params: dict[str, Any]) -> dict[str, Any] | None:
        """The schema of the answer that is to go on, if it has one: it isn't asked for again."""
        prompt = read_prompt(params)
        if not prompt.said:
            return None
        for batch in reversed(self.batches.values()):
            for row in batch.rows:
                if row.schema is not None and row.prompt == prompt.digest:
                    return batch.schemas[row.schema]
        return None

    def _check_spending(self, now: datetime) -> None:
        if self.faults.tier_limit:
            raise ApiError(
                429,
                "rate_limit_error",
                "Monthly spend limit of this tier reached",
                error_code="enforced_spend_limit_reached",
            )
        if self.faults.spend_limit:
            back = (now.replace(day=1) + timedelta(days=32)).replace(day=1)
            message = (
                "You have reached your specified API usage limits. "
                f"You will regain access on {back:%Y-%m-%d} at 00:00 UTC."
            )
            raise ApiError(400, "invalid_request_error", message)

    def _check_queue(self, now: datetime, more: int) -> None:
        """429 as the queue limit; its exact words and headers are not known."""
        running = [b for b in self.batches.values() if now < b.ends_at]
        room = self.settings.queue_limit - more
        if sum(len(b.rows) for b in running) <= room:
            return
        if sum(b.waiting(now) for b in running) > room:
            message = "Number of queued batch requests would exceed the limit of your organization"
            raise ApiError(429, "rate_limit_error", message)

    def _list(self, now: datetime, request: Request) -> Response:
        lag = timedelta(seconds=self.faults.listing_lag_s)
        shown = [b for b in self.batches.values() if b.created_at + lag <= now]
        shown.sort(key=lambda b: (b.created_at, b.number), reverse=True)
        page, more = page_of(shown, request.query)
        return answer(
            {
                "data": [self._describe(now, batch, request) for batch in page],
                "has_more": more,
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
            }
        )

    def _cancel(self, now: datetime, batch: SimulatedBatch, request: Request) -> Response:
        """One that has ended is answered unchanged: what the API does there is not known."""
        if batch.status(now) != "in_progress":
            return answer(self._describe(now, batch, request))
        batch.canceled_at = now
        return replace(answer(self._describe(now, batch, request)), saves=batch.id)

    def _delete(self, now: datetime, batch: SimulatedBatch) -> Response:
        if batch.status(now) != "ended":
            raise ApiError(
                400,
                "invalid_request_error",
                "In progress batches cannot be deleted. Consider canceling the batch instead.",
            )
        del self.batches[batch.id]
        return replace(answer({"id": batch.id, "type": "message_batch_deleted"}), saves=batch.id)

    def _results(self, now: datetime, batch: SimulatedBatch, fault: Fault | None) -> Response:
        if batch.status(now) != "ended" or batch.archived(now):
            message = f"Message Batch {batch.id} has no available results."
            raise ApiError(404, "not_found_error", message)
        cut = fault.cut if fault is not None else None
        framing = fault.framing if fault is not None else Framing.CHUNKED
        length = None
        if framing is Framing.LENGTH:
            length = sum(len(line) for line in self._lines(batch))
        lines = self._lines(batch)
        if fault is not None and cut in (Cut.MID_LINE, Cut.LINE_END):
            lines = _cut_off(lines, fault.lines, cut)
        return Response(
            headers={"content-type": "application/x-jsonl"},
            lines=lines,
            cut=cut,
            framing=framing,
            length=length,
        )

    def _lines(self, batch: SimulatedBatch) -> Iterator[bytes]:
        again: list[bytes] = []
        odd = self._odd_lines(batch)
        for number, row in enumerate(shuffled(batch.rows, seed=self.seed, batch=batch.id)):
            yield from odd.pop(number, ())
            if number < self.faults.lost_lines:
                continue
            line = result_line(
                row,
                batch.ending(row),
                seed=self.seed,
                output_bytes=self.settings.output_bytes,
                schemas=batch.schemas,
            )
            if len(again) < self.faults.duplicate_lines:
                again.append(line)
            yield line
        yield from again
        for lines in odd.values():
            yield from lines

    def _odd_lines(self, batch: SimulatedBatch) -> dict[int, list[bytes]]:
        """Lines that belong to no row, by the number of the row before which they come."""
        faults = self.faults
        lines = [_MALFORMED] * faults.malformed_lines + [_STRAY] * faults.stray_lines
        placed: dict[int, list[bytes]] = {}
        for number, line in enumerate(lines):
            at = share(self.seed, batch.id, str(number), "odd") * (len(batch.rows) + 1)
            placed.setdefault(int(at), []).append(line)
        return placed

    def _find(self, now: datetime, batch_id: str) -> SimulatedBatch:
        batch = self.batches.get(batch_id)
        hidden = timedelta(seconds=self.faults.not_found_s)
        if batch is None or now < batch.created_at + hidden:
            raise ApiError(404, "not_found_error", f"Message Batch {batch_id} not found.")
        return batch

    def _describe(
        self, now: datetime, batch: SimulatedBatch, request: Request
    ) -> dict[str, object]:
        counts = batch.counts(now, progressive=self.settings.progressive_counts)
        if now >= batch.ends_at:
            counts["succeeded"] += self.faults.wrong_counts
        return batch.describe(now, counts=counts, host=_host(request), path=BATCHES)

    def dump(self, batch_id: str) -> bytes | None:
        """One batch, to be kept over a restart; None when it was deleted."""
        batch = self.batches.get(batch_id)
        return None if batch is None else msgspec.json.encode(batch)

    def load(self, data: bytes) -> None:
        """Take up a batch that was dumped. Raises msgspec.DecodeError."""
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


def _host(request: Request) -> str:
    return request.headers.get("host", "localhost")


def _route(request: Request) -> tuple[Call, str]:
    """Which call it is, and of which batch. Raises ApiError for what is none."""
    path = request.path.rstrip("/")
    if path == COUNT_TOKENS and request.method == "POST":
        return Call.COUNT_TOKENS, ""
    batch_id, _, action = path.removeprefix(BATCHES).removeprefix("/").partition("/")
    routes: dict[tuple[bool, str], dict[str, Call]] = {
        (False, ""): {"POST": Call.CREATE, "GET": Call.LIST},
        (True, ""): {"GET": Call.RETRIEVE, "DELETE": Call.DELETE},
        (True, "cancel"): {"POST": Call.CANCEL},
        (True, "results"): {"GET": Call.RESULTS},
    }
    methods = routes.get((bool(batch_id), action))
    if methods is None or not (path == BATCHES or path.startswith(BATCHES + "/")):
        raise ApiError(404, "not_found_error", f"Not found: {request.path}")
    if request.method not in methods:
        raise ApiError(405, "invalid_request_error", "Method Not Allowed")
    return methods[request.method], batch_id
