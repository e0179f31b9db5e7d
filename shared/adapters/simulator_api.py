"""The Batches API without HTTP: the port straight over the simulator's core.

For simulated time and for tests that make thousands of calls. What the core cuts off, this raises
as the SDK's adapter would.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.adapters.anthropic_errors import Answer, Call, from_answer, unproven
from shared.adapters.provider_batches import Unusable, decode_batch, list_since
from shared.adapters.simulator.core import BATCHES, COUNT_TOKENS, Simulator
from shared.adapters.simulator.messages import Cut, Request, Response
from shared.adapters.token_counts import decode_count, encode_count
from shared.domain.ids import ProviderId
from shared.ports.batch_api import Body, ProviderBatch

_LINES_AT_ONCE = 100
_CUT = "no whole answer: the connection was cut"


class SimulatorApi:
    """One workspace's API; `clock` is the provider's."""

    def __init__(self, simulator: Simulator, clock: Callable[[], datetime]) -> None:
        self._simulator = simulator
        self._clock = clock

    async def ready(self) -> None:
        """Always."""

    async def create(self, body: Body, *, betas: Sequence[str]) -> ProviderBatch:
        """Submit a batch."""
        content = b"".join(body.chunks())
        headers = {"anthropic-beta": ",".join(betas)} if betas else {}
        answer = self._call(Call.CREATE, "POST", BATCHES, body=content, headers=headers)
        return _batch(answer, Call.CREATE)

    async def retrieve(self, provider_id: ProviderId) -> ProviderBatch:
        """Look at a batch."""
        return _batch(self._call(Call.RETRIEVE, "GET", f"{BATCHES}/{provider_id}"), Call.RETRIEVE)

    async def cancel(self, provider_id: ProviderId) -> ProviderBatch:
        """Ask for a batch to be canceled."""
        path = f"{BATCHES}/{provider_id}/cancel"
        return _batch(self._call(Call.CANCEL, "POST", path), Call.CANCEL)

    async def count_tokens(self, params: Mapping[str, Any]) -> int:
        """Tokens of the prompt of a request with these params; `TokenCounter`'s."""
        content = encode_count(params)
        answer = self._call(Call.COUNT_TOKENS, "POST", COUNT_TOKENS, body=content)
        try:
            return decode_count(answer.body)
        except Unusable as error:
            raise unproven(str(error), Call.COUNT_TOKENS) from error

    async def created_since(self, since: datetime) -> AsyncGenerator[ProviderBatch, None]:
        """All batches created at or after `since`, newest first."""

        async def fetch(after: ProviderId | None) -> bytes:
            query = {"limit": "1000"} if after is None else {"limit": "1000", "after_id": after}
            return self._call(Call.LIST, "GET", BATCHES, query=query).body

        try:
            async for batch in list_since(since, fetch):
                yield batch
        except Unusable as error:
            raise unproven(str(error), Call.LIST) from error

    async def results(self, provider_id: ProviderId) -> AsyncGenerator[list[bytes], None]:
        """The result lines, many at a time."""
        answer = self._call(Call.RESULTS, "GET", f"{BATCHES}/{provider_id}/results")
        lines: list[bytes] = []
        for line in answer.lines or ():
            if answer.cut is Cut.MID_LINE and not line.endswith(b"\n"):
                break
            lines.append(line.rstrip(b"\n"))
            if len(lines) >= _LINES_AT_ONCE:
                yield lines
                lines = []
        if lines:
            yield lines
        if answer.cut is Cut.MID_LINE:
            raise unproven(_CUT, Call.RESULTS)

    def _call(
        self,
        call: Call,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Response:
        now = self._clock()
        request = Request(
            method=method,
            path=path,
            query=query or {},
            headers={
                "authorization": "Bearer simulated",
                "anthropic-version": "2026-10-21",
                "host": "localhost",
                **(headers or {}),
            },
            body=body,
        )
        answer = self._simulator.apply(now, request)
        if answer.cut in (Cut.BEFORE, Cut.AFTER):
            raise unproven(_CUT, call)
        if answer.status != 200:
            failed = Answer(status=answer.status, headers=answer.headers, body=answer.body)
            raise from_answer(failed, call, now=now)
        return answer


def _batch(answer: Response, call: Call) -> ProviderBatch:
    try:
        return decode_batch(answer.body)
    except Unusable as error:
        raise unproven(str(error), call) from error
