"""The Message Batches API through Anthropic's SDK: each call made once, each answer told apart.

The SDK is imported when it is first called for: it takes two seconds and 75 MB. Its own retries are
off everywhere, because only the engine knows which call may be repeated. (Below the SDK, aiohttp
sends a GET once more when a kept connection turns out to be dead; never a POST.)
"""

import asyncio
import gc
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from shared.adapters.anthropic_errors import (
    Answer,
    Call,
    from_answer,
    from_failure,
    one_line,
    unproven,
    without_key,
)
from shared.adapters.provider_batches import PAGE_SIZE, Unusable, decode_batch, list_since
from shared.adapters.result_lines import Lines
from shared.adapters.token_counts import Pieces, decode_count, encode_count
from shared.domain.ids import ProviderId
from shared.domain.pause import PauseReason
from shared.ports.batch_api import ApiError, Body, ProviderBatch, Unavailable

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic, RequestOptions
    from httpx2 import Response

_BATCHES = "/v1/messages/batches"
_COUNT = "/v1/messages/count_tokens"
_PIECE = 256 << 10
"""How much of the results is put together before it is cut into lines; the transport's own reads
are 16 KB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. `silence` is between two bytes of an answer; `call` and `create` are wholes.

    `create` is shorter than the lease of a batch (15 minutes), so that nobody takes up, and doubts,
    a batch whose create is under way.
    """

    connect: float = 15.0
    silence: float = 120.0
    call: float = 120.0
    create: float = 600.0


class MissingApiKey(Unavailable):
    """No key to call the API with, none that can be sent, or no address to send it to; the message
    says what to do."""

    def __init__(self, fault: str = "ANTHROPIC_API_KEY is not set") -> None:
        message = f"{fault}; set it, or try docmill without cost with --simulate"
        super().__init__(message, reason=PauseReason.ACCESS)


class AnthropicApi:
    """`BatchApi` and `TokenCounter` over `AsyncAnthropic` and its aiohttp transport.

    `api_key` may be a function that is asked at the first call; without a key the SDK's own ways to
    one hold (ANTHROPIC_API_KEY first), and likewise ANTHROPIC_BASE_URL. Raises MissingApiKey at the
    first call. Connections belong to the event loop that made them: leave with `aclose` (or `async
    with`) before the loop ends; the next call makes new ones.
    """

    def __init__(
        self,
        *,
        api_key: str | Callable[[], str] | None = None,
        base_url: str | None = None,
        timeouts: Timeouts | None = None,
        page_size: int = PAGE_SIZE,
    ) -> None:
        self._api_key = api_key
        self._base_url = base_url
        self._timeouts = timeouts or Timeouts()
        self._page_size = page_size
        self._made: AsyncAnthropic | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of all connections."""
        made, self._made = self._made, None
        if made is not None:
            await made.close()

    async def ready(self) -> None:
        """Import the SDK and make its client, with the key: two seconds, and where a key is asked
        for, a call."""
        self._client()

    async def create(self, body: Body, *, betas: Sequence[str]) -> ProviderBatch:
        """Submit a batch, in one POST whatever happens."""
        headers = {"content-type": "application/json", "content-length": str(body.length)}
        if betas:
            headers["anthropic-beta"] = ",".join(betas)
        whole = self._timeouts.create  # the answer may take as long as the whole call
        response = await self._answered(
            Call.CREATE,
            self._client().post(
                _BATCHES,
                cast_to=_response(),
                content=_Replayable(body),
                options=self._options(headers, silence=whole),
            ),
            within=whole,
        )
        return _batch(response, Call.CREATE)

    async def retrieve(self, provider_id: ProviderId) -> ProviderBatch:
        """Look at a batch."""
        request = self._client().get(
            f"{_BATCHES}/{provider_id}", cast_to=_response(), options=self._options()
        )
        return _batch(await self._answered(Call.RETRIEVE, request), Call.RETRIEVE)

    async def cancel(self, provider_id: ProviderId) -> ProviderBatch:
        """Ask for a batch to be canceled."""
        request = self._client().post(
            f"{_BATCHES}/{provider_id}/cancel", cast_to=_response(), options=self._options()
        )
        return _batch(await self._answered(Call.CANCEL, request), Call.CANCEL)

    async def count_tokens(self, params: Mapping[str, Any]) -> int:
        """Tokens of the prompt of a request with these params; `TokenCounter`'s."""
        body = Pieces(encode_count(params))
        headers = {"content-type": "application/json", "content-length": str(body.length)}
        request = self._client().post(
            _COUNT,
            cast_to=_response(),
            content=_Replayable(body),
            options=self._options(headers),
        )
        try:
            return decode_count((await self._answered(Call.COUNT_TOKENS, request)).content)
        except Unusable as error:
            raise unproven(str(error), Call.COUNT_TOKENS) from error

    async def created_since(self, since: datetime) -> AsyncGenerator[ProviderBatch, None]:
        """All batches of the workspace created at or after `since`, newest first."""

        async def fetch(after: ProviderId | None) -> bytes:
            options = self._options()
            options["params"] = {"limit": self._page_size}
            if after is not None:
                options["params"] = {**options["params"], "after_id": after}
            request = self._client().get(_BATCHES, cast_to=_response(), options=options)
            return (await self._answered(Call.LIST, request)).content

        async with aclosing(list_since(since, fetch)) as batches:
            try:
                async for batch in batches:
                    yield batch
            except Unusable as error:
                raise unproven(str(error), Call.LIST) from error

    async def results(self, provider_id: ProviderId) -> AsyncGenerator[list[bytes], None]:
        """The result lines, many at a time; those complete before a failure come before it."""
        batch = await self.retrieve(provider_id)
        client = self._client()
        headers = {"accept": "application/binary", "accept-encoding": "identity"}
        request = client.get(
            _results_address(batch, client),
            cast_to=_response(),
            options=self._options(headers),
            stream=True,
        )
        response = await self._answered(Call.RESULTS, request)
        lines = Lines()
        failure: Exception | None = None
        try:
            stream = response.aiter_bytes()
            while failure is None:
                data, failure, ended = await self._read(stream)
                if complete := lines.feed(data):
                    yield without_key(complete, client.api_key)
                if ended:
                    break
        finally:
            await response.aclose()
        if failure is not None:
            raise self._translated(failure, Call.RESULTS) from failure
        if last := lines.finish():
            yield without_key(last, client.api_key)

    async def _read(self, stream: AsyncIterator[bytes]) -> tuple[bytes, Exception | None, bool]:
        """A large piece of the stream, with why or that it is the last."""
        parts: list[bytes] = []
        size = 0
        while size < _PIECE:
            try:
                part = await anext(stream, None)
            except _transport_errors() as error:
                return b"".join(parts), error, True
            if part is None:
                return b"".join(parts), None, True
            parts.append(part)
            size += len(part)
        return b"".join(parts), None, False

    async def _answered(
        self, call: Call, request: "Awaitable[Response]", *, within: float | None = None
    ) -> "Response":
        """The answer, if it is a success. Raises the port's errors."""
        try:
            async with asyncio.timeout(self._timeouts.call if within is None else within):
                return await request
        except _transport_errors() as error:
            raise self._translated(error, call) from _telling(error)

    def _translated(self, error: Exception, call: Call) -> ApiError:
        import anthropic  # noqa: PLC0415 - two seconds and 75 MB, only where it is called

        hide = self._secrets()
        if isinstance(error, anthropic.APIStatusError):
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            answer = Answer(status=error.status_code, headers=headers, body=error.response.content)
            return from_answer(answer, call, now=datetime.now(UTC), hide=hide)
        if not isinstance(error, anthropic.APIError) and isinstance(
            error, anthropic.AnthropicError
        ):
            message = one_line(f"no credentials: {error}", hide=hide)
            return Unavailable(message, reason=PauseReason.ACCESS)
        return from_failure(error, call, hide=hide)

    def _secrets(self) -> tuple[str, ...]:
        """What no message may repeat: the key, and a gateway's path, which may hold one."""
        if self._made is None:
            return ()
        return (self._made.api_key or "", self._made.base_url.path.strip("/"))

    def _options(
        self, headers: dict[str, str] | None = None, *, silence: float | None = None
    ) -> "RequestOptions":
        import anthropic  # noqa: PLC0415

        quiet = self._timeouts.silence if silence is None else silence
        connect = self._timeouts.connect  # `pool` bounds what `connect` doesn't: the name's look-up
        timeout = anthropic.Timeout(quiet, connect=connect, pool=connect)
        return {"headers": headers or {}, "timeout": timeout, "max_retries": 0}

    def _client(self) -> "AsyncAnthropic":
        if self._made is None:
            key = self._api_key() if callable(self._api_key) else self._api_key
            self._made = _made(key or None, self._base_url or None)
        return self._made


class _Replayable:
    """A body that begins anew each time it is iterated: the SDK sends an exhausted one as empty.

    More or fewer bytes than its length is a bug that breaks the connection off: the provider never
    sees a whole request, nor waits for the rest.
    """

    def __init__(self, body: Body) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._body.length
        for chunk in self._body.chunks():
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
            await asyncio.sleep(0)  # others' turn between large reads of a file
        if left:
            raise ValueError(f"the request body is not {self._body.length} bytes as it says")


def _load_sdk() -> None:
    """Import the SDK's thousands of modules without a search for garbage, of which they make none.

    They stay, so later searches pass over them.
    """
    if "anthropic" in sys.modules:
        return
    was_on = gc.isenabled()
    gc.disable()
    try:
        import anthropic  # noqa: F401, PLC0415
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def _made(api_key: str | None, base_url: str | None) -> "AsyncAnthropic":
    _load_sdk()
    import anthropic  # noqa: PLC0415
    import httpx2  # noqa: PLC0415

    try:
        client = anthropic.AsyncAnthropic(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            open_telemetry=False,
            http_client=anthropic.DefaultAioHttpClient(follow_redirects=False),
        )
    except anthropic.AnthropicError as error:
        raise MissingApiKey(one_line(f"ANTHROPIC_API_KEY is not set, and {error}")) from error
    except httpx2.InvalidURL:  # its text may be a password that was taken for a port
        raise MissingApiKey("ANTHROPIC_BASE_URL is not an address") from None
    headers = {name.lower() for name in client.default_headers}
    if client.credentials is None and not headers & {"authorization", "x-api-key"}:
        raise MissingApiKey
    key = client.api_key
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise MissingApiKey("ANTHROPIC_API_KEY holds a space, a line end or another odd character")
    return client


def _results_address(batch: ProviderBatch, client: "AsyncAnthropic") -> str:
    """Where to get the results with the key: where the provider says, if that is its own host.

    Behind a gateway the provider names a host that isn't the one the key is for. The key isn't sent
    there; the documented path is asked for at the API's own address instead.
    """
    import httpx2  # noqa: PLC0415 - comes with the SDK

    documented = f"{_BATCHES}/{batch.id}/results"
    if not batch.results_url:
        return documented
    try:
        url = httpx2.URL(batch.results_url)
    except httpx2.InvalidURL:
        return documented
    own = client.base_url
    ours = (url.scheme, url.host, url.port) == (own.scheme, own.host, own.port)
    relative = not url.scheme and not url.host
    return batch.results_url if (ours and not url.userinfo) or relative else documented


def _batch(response: "Response", call: Call) -> ProviderBatch:
    try:
        return decode_batch(response.content)
    except Unusable as error:
        raise unproven(str(error), call) from error


def _telling(error: Exception) -> Exception | None:
    """What to chain: an answer is told whole already, and the SDK repeats its text unchecked."""
    import anthropic  # noqa: PLC0415

    return None if isinstance(error, anthropic.APIStatusError) else error


def _transport_errors() -> tuple[type[Exception], ...]:
    """Everything that the SDK, httpx2 and aiohttp raise for what happens on the way."""
    import aiohttp  # noqa: PLC0415 - comes with the SDK
    import anthropic  # noqa: PLC0415
    import httpx2  # noqa: PLC0415

    return (anthropic.AnthropicError, httpx2.HTTPError, aiohttp.ClientError, OSError)


def _response() -> "type[Response]":
    import httpx2  # noqa: PLC0415

    return httpx2.Response
