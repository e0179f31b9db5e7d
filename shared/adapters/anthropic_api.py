"""The Message Batches API through Anthropic's SDK: each call made once, each answer told apart.

The SDK is imported when it is first called for: it takes two seconds and 75 MB. Its own retries are
off everywhere, because only the engine knows which call may be repeated.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from shared.adapters.anthropic_errors import Answer, Call, from_answer, from_failure, unproven
from shared.adapters.provider_batches import Unusable, decode_batch, list_since
from shared.adapters.result_lines import Lines
from shared.domain.ids import ProviderId
from shared.ports.batch_api import ApiError, Body, ProviderBatch, Refused

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

_BATCHES = "/v1/messages/batches"
_PAGE = 1000
_PIECE = 256 << 10
_CREATE_S = 600.0
"""The whole of a create call. Shorter than the lease of a batch, so nobody doubts one under way."""
_CALL_S = 120.0
_SOCKET_S = 120.0
_CONNECT_S = 15.0


class MissingApiKey(Exception):
    """No key to call the API with; the message says what to do."""

    def __init__(self) -> None:
        super().__init__(
            "ANTHROPIC_API_KEY is not set; set it, or try docmill without cost with --simulate"
        )


class _Replayable:
    """A body that begins anew each time it is iterated, as the SDK may do."""

    def __init__(self, body: Body) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._body.chunks():
            yield chunk
            await asyncio.sleep(0)  # let the other batches' answers in between 1 MB reads


class AnthropicApi:
    """`shared.ports.batch_api.BatchApi` over `AsyncAnthropic` and its aiohttp transport.

    `api_key` may be a function that is asked once, at the first call; without one the SDK's own
    ANTHROPIC_API_KEY holds, and likewise ANTHROPIC_BASE_URL. Raises MissingApiKey at the first
    call. The connections belong to the event loop that uses them first.
    """

    def __init__(
        self, *, api_key: str | Callable[[], str] | None = None, base_url: str | None = None
    ) -> None:
        self._api_key = api_key
        self._base_url = base_url
        self._made: AsyncAnthropic | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._made is not None:
            await self._made.close()
            self._made = None

    async def create(self, body: Body, *, betas: Sequence[str]) -> ProviderBatch:
        """Submit a batch, in one POST whatever happens."""
        headers = {"content-type": "application/json", "content-length": str(body.length)}
        if betas:
            headers["anthropic-beta"] = ",".join(betas)
        client = self._client()
        async with self._translated(Call.CREATE, within=_CREATE_S):
            response = await client.post(
                _BATCHES,
                cast_to=_raw_response(),
                content=_Replayable(body),  # type: ignore[arg-type]
                options={"headers": headers, "max_retries": 0},
            )
            return decode_batch(response.content)

    async def retrieve(self, provider_id: ProviderId) -> ProviderBatch:
        """Look at a batch."""
        return decode_batch_or_raise(
            await self._get(Call.RETRIEVE, f"{_BATCHES}/{provider_id}"), Call.RETRIEVE
        )

    async def cancel(self, provider_id: ProviderId) -> ProviderBatch:
        """Ask for a batch to be canceled."""
        client = self._client()
        async with self._translated(Call.CANCEL, within=_CALL_S):
            response = await client.post(
                f"{_BATCHES}/{provider_id}/cancel", cast_to=_raw_response()
            )
            return decode_batch(response.content)

    async def created_since(self, since: datetime) -> AsyncGenerator[ProviderBatch, None]:
        """All batches of the workspace created at or after `since`, newest first."""

        async def fetch(after: ProviderId | None) -> bytes:
            query: dict[str, object] = {"limit": _PAGE}
            if after is not None:
                query["after_id"] = after
            return await self._get(Call.LIST, _BATCHES, query)

        try:
            async for batch in list_since(since, fetch):
                yield batch
        except Unusable as error:
            raise unproven(str(error), Call.LIST) from error

    async def results(self, provider_id: ProviderId) -> AsyncGenerator[list[bytes], None]:
        """The result lines, many at a time, in large reads."""
        client = self._client()
        batch = await self.retrieve(provider_id)
        self._check_host(batch.results_url, str(client.base_url))
        lines = Lines()
        async with (
            self._translated(Call.RESULTS),
            client.messages.batches.with_streaming_response.results(provider_id) as response,
        ):
            async with aclosing(response.http_response.aiter_bytes(_PIECE)) as stream:  # type: ignore[type-var]
                async for piece in stream:
                    if complete := lines.feed(piece):
                        yield complete
            if last := lines.finish():
                yield last

    def _client(self) -> "AsyncAnthropic":
        if self._made is None:
            import anthropic  # noqa: PLC0415 - two seconds and 75 MB, only where it is called

            key = self._api_key() if callable(self._api_key) else self._api_key
            try:
                self._made = anthropic.AsyncAnthropic(
                    api_key=key or None,
                    base_url=self._base_url or None,
                    max_retries=0,
                    timeout=anthropic.Timeout(_SOCKET_S, connect=_CONNECT_S),
                    http_client=anthropic.DefaultAioHttpClient(follow_redirects=False),
                )
            except anthropic.AnthropicError as error:
                raise MissingApiKey from error
            if not self._made.api_key:
                raise MissingApiKey
        return self._made

    async def _get(self, call: Call, path: str, query: Mapping[str, object] | None = None) -> bytes:
        client = self._client()
        async with self._translated(call, within=_CALL_S):
            response = await client.get(
                path, cast_to=_raw_response(), options={"params": dict(query or {})}
            )
            content: bytes = response.content
            return content

    @asynccontextmanager
    async def _translated(self, call: Call, *, within: float | None = None) -> AsyncIterator[None]:
        """Turn whatever goes wrong inside into the port's errors."""
        import anthropic  # noqa: PLC0415 - imported already by `_client`

        key = (self._made.api_key if self._made else None) or ""
        try:
            async with asyncio.timeout(within):
                yield
        except anthropic.APIStatusError as error:
            raise from_answer(await _answer(error), call, now=datetime.now(UTC), hide=key) from None
        except (ApiError, MissingApiKey, GeneratorExit, asyncio.CancelledError):
            raise
        except Unusable as error:
            raise unproven(str(error), call) from error
        except Exception as error:  # noqa: BLE001 - whatever the transport raises proves nothing
            raise from_failure(error, call, hide=key) from error

    @staticmethod
    def _check_host(url: str | None, base: str) -> None:
        """The key goes to the host of the API, and to no other that an answer may name."""
        if not url or url.startswith("/"):
            return
        theirs, ours = urlsplit(url), urlsplit(base)
        if (theirs.scheme, theirs.netloc) != (ours.scheme, ours.netloc):
            raise Refused(
                f"the results are said to be at {theirs.scheme}://{theirs.netloc}, not at the API's "
                f"own address {ours.scheme}://{ours.netloc}; the key isn't sent there",
                type="results_elsewhere",
            )


def decode_batch_or_raise(content: bytes, call: Call) -> ProviderBatch:
    """Read a batch. Raises Unavailable for an answer that is none."""
    try:
        return decode_batch(content)
    except Unusable as error:
        raise unproven(str(error), call) from error


async def _answer(error: Any) -> Answer:
    response = error.response
    headers = {name.lower(): value for name, value in response.headers.items()}
    try:
        body = await response.aread()
    except Exception:  # noqa: BLE001 - the status says enough
        body = b""
    return Answer(status=response.status_code, headers=headers, body=body)


def _raw_response() -> Any:
    import httpx2  # noqa: PLC0415 - comes with the SDK

    return httpx2.Response
