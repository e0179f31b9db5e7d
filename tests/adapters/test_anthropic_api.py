"""The SDK adapter against servers that answer, refuse, break off and lie."""

import asyncio
import datetime as dt
import gzip
import json
import socket
import ssl
import subprocess
import sys
import traceback
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from shared.adapters.anthropic_api import AnthropicApi, MissingApiKey
from shared.adapters.anthropic_errors import without_key
from shared.domain.batch import Counts
from shared.domain.ids import ProviderId
from shared.domain.pause import PauseReason
from shared.ports.batch_api import (
    ApiError,
    InDoubt,
    NotFound,
    ProcessingStatus,
    ProviderBatch,
    Refused,
    Unavailable,
)
from tests.adapters.api_server import (
    KEY,
    QUICK,
    Content,
    Talk,
    answering,
    api,
    batch,
    error,
    http_server,
    raw_server,
    read_request,
)

ID = ProviderId("msgbatch_1")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


async def create(adapter: AnthropicApi) -> ProviderBatch:
    return await adapter.create(Content(), betas=[])


async def retrieve(adapter: AnthropicApi) -> ProviderBatch:
    return await adapter.retrieve(ID)


async def cancel(adapter: AnthropicApi) -> ProviderBatch:
    return await adapter.cancel(ID)


async def listing(adapter: AnthropicApi) -> list[ProviderBatch]:
    return [found async for found in adapter.created_since(LONG_AGO)]


async def results(adapter: AnthropicApi) -> list[bytes]:
    return [line async for lines in adapter.results(ID) for line in lines]


Use = Callable[[AnthropicApi], Awaitable[Any]]
OTHERS: list[Use] = [retrieve, cancel, listing, results]


async def failure(adapter: AnthropicApi, use: Use) -> ApiError:
    async with adapter:
        with pytest.raises(ApiError) as caught:
            await asyncio.wait_for(use(adapter), 20)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(adapter)
    assert KEY not in told
    assert "\n" not in caught.value.message
    return caught.value


# --- what is sent ---------------------------------------------------------------------------------


def test_importing_the_adapter_does_not_import_the_sdk() -> None:
    code = "import sys, shared.adapters.anthropic_api as a; a.AnthropicApi(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert not {"anthropic", "httpx2", "aiohttp"} & set(done.stdout.split())


def test_create_sends_the_whole_body_with_its_length_and_headers() -> None:
    async def trial() -> None:
        body = Content(pieces=[b'{"requests":[', b"x" * 100_000, b"]}"])
        async with http_server(answering(batch())) as (url, seen), api(url) as adapter:
            made = await adapter.create(body, betas=["one-2026-01-01", "two-2026-01-01"])
            assert made == ProviderBatch(
                id=ID,
                processing_status=ProcessingStatus.IN_PROGRESS,
                counts=Counts(processing=2),
                created_at=datetime(2026, 11, 23, 10, 0, 0, 123456, tzinfo=UTC),
                expires_at=datetime(2026, 11, 24, 10, 0, 0, 123456, tzinfo=UTC),
            )
        assert seen.bodies == [b"".join(body.chunks())]
        headers = seen.requests[0].headers
        assert headers["Content-Length"] == str(body.length)
        assert "Transfer-Encoding" not in headers
        assert headers["Content-Type"] == "application/json"
        assert headers["anthropic-beta"] == "one-2026-01-01,two-2026-01-01"
        assert headers["Authorization"] == f"Bearer {KEY}"

    asyncio.run(trial())


def test_a_body_of_50_mb_is_never_held() -> None:
    async def swallow(request: web.Request) -> web.Response:
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
        return web.json_response(batch(request_counts={"processing": size}))

    async def trial() -> tuple[int, int]:
        body = Content(pieces=[bytes(1 << 20)], times=50)
        async with http_server(swallow, keep=False) as (url, _), api(url) as adapter:
            await adapter.create(Content(), betas=[])  # imports and pools are not what is measured
            tracemalloc.start()
            try:
                made = await adapter.create(body, betas=[])
                return made.counts.processing, tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    received, peak = asyncio.run(trial())
    assert received == 50 << 20
    assert peak < 5_000_000


@pytest.mark.parametrize("says", [5, 500])
def test_a_body_that_is_not_as_long_as_it_says_never_arrives_whole(says: int) -> None:
    async def trial() -> None:
        async with http_server(answering(batch())) as (url, seen):
            adapter = api(url)
            lying = Content(says=says)
            error = await failure(adapter, lambda made: made.create(lying, betas=[]))
            assert isinstance(error, InDoubt)
            await asyncio.sleep(0.05)
        assert seen.bodies == []

    asyncio.run(trial())


def test_the_adapter_works_in_one_event_loop_after_another() -> None:
    adapter = AnthropicApi(api_key=lambda: KEY)

    async def trial() -> ProviderBatch:
        async with http_server(answering(batch())) as (url, _):
            adapter._base_url = url
            async with adapter:
                return await adapter.retrieve(ID)

    assert asyncio.run(trial()) == asyncio.run(trial())


# --- credentials ----------------------------------------------------------------------------------


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("API_KEY", "AUTH_TOKEN", "PROFILE", "CUSTOM_HEADERS", "BASE_URL"):
        monkeypatch.delenv(f"ANTHROPIC_{name}", raising=False)
    monkeypatch.delenv("ANTHROPIC_CONFIG_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.usefixtures("no_credentials")
@pytest.mark.parametrize("use", [create, *OTHERS])
def test_without_a_key_every_call_says_what_to_set(use: Use) -> None:
    with pytest.raises(MissingApiKey, match=r"ANTHROPIC_API_KEY is not set.*--simulate"):
        asyncio.run(use(AnthropicApi()))  # type: ignore[arg-type]


@pytest.mark.usefixtures("no_credentials")
@pytest.mark.parametrize("key", ["two words", "ends\n", "schlüssel"])
def test_a_key_that_cannot_be_sent_is_named_but_not_shown(key: str) -> None:
    with pytest.raises(MissingApiKey) as caught:
        asyncio.run(retrieve(AnthropicApi(api_key=key)))
    assert "ANTHROPIC_API_KEY holds" in str(caught.value)
    assert key not in str(caught.value)


@pytest.mark.usefixtures("no_credentials")
@pytest.mark.parametrize(
    ("name", "value", "header"),
    [
        ("ANTHROPIC_API_KEY", "k", ("Authorization", "Bearer k")),
        ("ANTHROPIC_AUTH_TOKEN", "t", ("Authorization", "Bearer t")),
        ("ANTHROPIC_CUSTOM_HEADERS", "x-api-key: c", ("x-api-key", "c")),
    ],
)
def test_the_sdks_own_ways_to_a_key_hold(
    name: str, value: str, header: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def trial() -> None:
        async with http_server(answering(batch())) as (url, seen):
            monkeypatch.setenv(name, value)
            monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
            async with AnthropicApi() as adapter:
                await adapter.retrieve(ID)
        assert seen.requests[0].headers[header[0]] == header[1]

    asyncio.run(trial())


# --- answers that are no success ------------------------------------------------------------------

ANSWERS: list[tuple[int, bytes, type[ApiError], object]] = [
    (400, error("invalid_request_error"), Refused, "invalid_request_error"),
    (409, error("conflict_error"), Refused, "conflict_error"),
    (422, b"<html>", Refused, "http_422"),
    (413, b'{"error":{"type":"request_too_large","message":"m"}}', Refused, "request_too_large"),
    (413, b"<html>too large</html>", Refused, "request_too_large"),
    (404, error("not_found_error", "model: x"), Refused, "not_found_error"),
    (404, error("not_found_error"), Unavailable, PauseReason.ACCESS),
    (404, b"<html>nothing here</html>", Unavailable, PauseReason.ACCESS),
    (405, b"<html>not allowed</html>", Unavailable, PauseReason.ACCESS),
    (401, error("authentication_error"), Unavailable, PauseReason.ACCESS),
    (403, b"blocked", Unavailable, PauseReason.ACCESS),
    (402, error("billing_error"), Unavailable, PauseReason.SPEND_LIMIT),
    (
        400,
        error("invalid_request_error", "You have reached your specified API usage limits. Wait."),
        Unavailable,
        PauseReason.SPEND_LIMIT,
    ),
    (429, error("rate_limit_error"), Unavailable, PauseReason.RATE_LIMIT),
    (
        429,
        error("rate_limit_error", code="enforced_spend_limit_reached"),
        Unavailable,
        PauseReason.SPEND_LIMIT,
    ),
    (529, error("overloaded_error"), Unavailable, PauseReason.OVERLOADED),
    (307, b"", Unavailable, PauseReason.UNREACHABLE),
    (303, b"", InDoubt, None),
    (408, b"", InDoubt, None),
    (500, error("api_error"), InDoubt, None),
    (502, b"<html>bad gateway</html>", InDoubt, None),
    (503, b"", InDoubt, None),
    (504, error("timeout_error"), InDoubt, None),
    (520, b"cloudflare", InDoubt, None),
    (204, b"", InDoubt, None),
    (200, b"<html>portal</html>", InDoubt, None),
    (200, b'{"id":"msgbatch_1"}', InDoubt, None),
    (200, b'{"type":"error"', InDoubt, None),
]


@pytest.mark.parametrize(("status", "body", "kind", "detail"), ANSWERS)
def test_each_answer_to_create_is_told_apart_after_one_post(
    status: int, body: bytes, kind: type[ApiError], detail: object
) -> None:
    async def trial() -> None:
        handler = answering(body, status, {"retry-after": "7", "location": "/elsewhere"})
        async with http_server(handler) as (url, seen):
            error = await failure(api(url), create)
        assert type(error) is kind
        assert len(seen.requests) == 1
        assert seen.posts == 1
        if isinstance(error, Refused):
            assert error.type == detail
        if isinstance(error, Unavailable):
            assert (error.reason, error.retry_after) == (
                detail,
                None if status == 307 else timedelta(seconds=7),
            )

    asyncio.run(trial())


@pytest.mark.parametrize("use", OTHERS)
@pytest.mark.parametrize("status", [404, 408, 429, 500, 503, 401])
def test_calls_that_can_be_repeated_are_never_in_doubt(use: Use, status: int) -> None:
    async def trial() -> None:
        async with http_server(answering(b"", status)) as (url, seen):
            error = await failure(api(url), use)
        expected: type[ApiError] = Unavailable
        if status == 404:
            expected = Unavailable if use is listing else NotFound
        assert type(error) is expected
        assert len(seen.requests) == 1

    asyncio.run(trial())


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("use", [create, *OTHERS])
def test_a_redirect_takes_neither_key_nor_documents_elsewhere(use: Use, status: int) -> None:
    async def trial() -> None:
        async with http_server(answering(batch())) as (elsewhere, strangers):
            handler = answering(b"", status, {"location": f"{elsewhere}/v1/messages/batches"})
            async with http_server(handler) as (url, seen):
                error = await failure(api(url), use)
        assert isinstance(error, Unavailable)
        assert error.reason is PauseReason.UNREACHABLE
        assert "ANTHROPIC_BASE_URL" in error.message
        assert (len(seen.requests), len(strangers.requests)) == (1, 0)

    asyncio.run(trial())


def test_an_answer_that_repeats_the_key_is_not_passed_on() -> None:
    async def trial() -> None:
        body = error("authentication_error", f"invalid key: {KEY}\nline two")
        async with http_server(answering(body, 401)) as (url, _):
            told = await failure(api(url), create)
        assert "check ANTHROPIC_API_KEY: invalid key: … line two (HTTP 401 auth" in told.message

    asyncio.run(trial())


def test_an_answer_that_comes_before_the_body_is_sent_is_still_heard() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = error("authentication_error")
        head = f"HTTP/1.1 401 Unauthorized\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        while await reader.read(1 << 16):
            pass

    async def trial() -> None:
        large = Content(pieces=[bytes(1 << 20)], times=20)
        async with raw_server(talk) as (port, seen):
            adapter = api(f"http://127.0.0.1:{port}")
            told = await failure(adapter, lambda made: made.create(large, betas=[]))
        assert isinstance(told, Unavailable)
        assert told.reason is PauseReason.ACCESS
        assert seen.connections == 1

    asyncio.run(trial())


# --- no answer ------------------------------------------------------------------------------------


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def reset_after_reading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.transport.abort()


async def close_after_reading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await asyncio.sleep(10)


async def stop_reading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(10)


async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.1)


async def half_a_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    await writer.drain()


async def half_a_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"id":"msgbatch_1"')
    await writer.drain()


async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")
    await writer.drain()


BREAKS: list[Talk] = [
    hang_up,
    reset_after_reading,
    close_after_reading,
    say_nothing,
    stop_reading,
    dribble,
    half_a_head,
    half_a_body,
    babble,
]


@pytest.mark.parametrize("talk", BREAKS)
def test_a_create_that_breaks_off_is_in_doubt_and_made_once(talk: Talk) -> None:
    async def trial() -> None:
        large = Content(pieces=[bytes(1 << 20)], times=8)
        async with raw_server(talk) as (port, seen):
            adapter = api(f"http://127.0.0.1:{port}", timeouts=QUICK)
            told = await failure(adapter, lambda made: made.create(large, betas=[]))
        assert type(told) is InDoubt
        assert seen.connections == 1

    asyncio.run(trial())


@pytest.mark.parametrize("talk", [hang_up, close_after_reading, say_nothing, half_a_body, babble])
@pytest.mark.parametrize("use", OTHERS)
def test_any_other_call_that_breaks_off_can_be_made_again(talk: Talk, use: Use) -> None:
    async def trial() -> None:
        async with raw_server(talk) as (port, _):
            told = await failure(api(f"http://127.0.0.1:{port}", timeouts=QUICK), use)
        assert isinstance(told, Unavailable)
        assert told.reason is PauseReason.UNREACHABLE

    asyncio.run(trial())


async def unreachable(url: str) -> str:
    for use in (create, retrieve):
        told = await failure(api(url, timeouts=QUICK), use)
        assert isinstance(told, Unavailable)
        assert told.reason is PauseReason.UNREACHABLE
    return told.message


def closed_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def test_a_refused_connection_proves_that_nothing_was_sent() -> None:
    port = closed_port()
    assert f"127.0.0.1:{port} can't be reached" in asyncio.run(
        unreachable(f"http://127.0.0.1:{port}")
    )


def test_an_unknown_host_proves_that_nothing_was_sent() -> None:
    assert "nobody.invalid" in asyncio.run(unreachable("https://nobody.invalid"))


def test_an_address_without_scheme_proves_that_nothing_was_sent() -> None:
    assert "not valid" in asyncio.run(unreachable("api.example.com"))


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example.com ESMTP\r\n")
    await writer.drain()
    await reader.read(1 << 16)


def test_a_server_that_never_finishes_a_tls_handshake_proves_that_nothing_was_sent() -> None:
    async def trial() -> None:
        async with raw_server(say_nothing) as (port, _):
            assert await unreachable(f"https://127.0.0.1:{port}") == "no connection in time"

    asyncio.run(trial())


def test_a_server_that_speaks_no_tls_proves_that_nothing_was_sent() -> None:
    async def trial() -> None:
        async with raw_server(greet) as (port, _):
            await unreachable(f"https://127.0.0.1:{port}")

    asyncio.run(trial())


def test_a_certificate_that_is_not_trusted_proves_that_nothing_was_sent(tmp_path: Path) -> None:
    async def trial() -> None:
        async with raw_server(close_after_reading, ssl=_self_signed(tmp_path)) as (port, _):
            assert "can't be trusted" in await unreachable(f"https://127.0.0.1:{port}")

    asyncio.run(trial())


def test_a_connection_not_made_in_time_proves_that_nothing_was_sent() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:  # the queue is full then: further connections are not answered
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        try:
            message = asyncio.run(unreachable(f"http://127.0.0.1:{full.getsockname()[1]}"))
            assert message == "no connection in time"
        finally:
            for one in waiting:
                one.close()


def test_a_proxy_that_is_not_there_proves_that_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("NO_PROXY", "")
    assert "can't be reached" in asyncio.run(unreachable("https://api.example.com"))


def test_a_proxy_that_refuses_proves_that_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def trial() -> None:
        async with raw_server(refuse) as (port, _):
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
            monkeypatch.setenv("NO_PROXY", "")
            assert "the proxy refuses: 407" in await unreachable("https://api.example.com")

    asyncio.run(trial())


def _self_signed(folder: Path) -> ssl.SSLContext:
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    ).sign(key, hashes.SHA256())
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


# --- listings -------------------------------------------------------------------------------------


def test_a_status_or_field_that_is_new_does_no_harm() -> None:
    async def trial() -> ProviderBatch:
        strange = batch(processing_status="paused", request_counts=None, shape={"new": 1})
        async with http_server(answering(strange)) as (url, _), api(url) as adapter:
            return await adapter.retrieve(ID)

    found = asyncio.run(trial())
    assert found.processing_status is ProcessingStatus.IN_PROGRESS
    assert found.counts == Counts()


def pages(*answers: dict[str, Any]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    left = list(answers)

    async def handle(_: web.Request) -> web.Response:
        return web.json_response(left.pop(0) if len(left) > 1 else left[0])

    return handle


def test_a_listing_stops_at_the_first_batch_that_is_older() -> None:
    rows = [batch(id=f"b{n}", created_at=f"2026-11-23T10:0{9 - n}:00Z") for n in range(6)]
    first, second = (
        {"data": rows[:2], "has_more": True},
        {"data": rows[2:4], "has_more": True},
    )

    async def trial() -> None:
        since = datetime(2026, 11, 23, 10, 7, tzinfo=UTC)
        async with (
            http_server(pages(first, second)) as (url, seen),
            api(url, page_size=2) as adapter,
        ):
            found = [one.id async for one in adapter.created_since(since)]
        assert found == ["b0", "b1", "b2"]
        assert [dict(one.query) for one in seen.requests] == [
            {"limit": "2"},
            {"limit": "2", "after_id": "b1"},
        ]

    asyncio.run(trial())


@pytest.mark.parametrize(
    "page", [{"data": [], "has_more": True}, {"data": [batch()], "has_more": True}, {"data": 1}]
)
def test_a_listing_that_gets_nowhere_is_not_believed(page: dict[str, Any]) -> None:
    async def trial() -> None:
        async with http_server(pages(page)) as (url, seen):
            assert isinstance(await failure(api(url), listing), Unavailable)
        assert len(seen.requests) <= 2

    asyncio.run(trial())


# --- results --------------------------------------------------------------------------------------


def ended(answer: Callable[[web.Request], Awaitable[web.StreamResponse]], **fields: Any) -> Any:
    """A provider whose batch has ended, with what it says its results are."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if not request.path.endswith("/results"):
            said = {"processing_status": "ended", **fields}
            return web.json_response(batch(**said))
        return await answer(request)

    return handle


def told(content: bytes, **headers: str) -> Any:
    return ended(answering(content, headers=headers))


def test_lines_are_cut_at_line_feeds_only_and_the_last_needs_none() -> None:
    lines = ['{"a":"\u2028\u0085 x"}'.encode(), b'{"b":"\xff\x0c"}', b'{"c":1}\r', b'{"d":2}']

    async def trial() -> list[bytes]:
        content = b"\n".join(lines[:2]) + b"\n\n" + b"\n".join(lines[2:])
        async with http_server(told(content)) as (url, seen), api(url) as adapter:
            found = await results(adapter)
        assert seen.requests[1].headers["Accept-Encoding"] == "identity"
        return found

    assert asyncio.run(trial()) == lines


def test_a_result_line_that_repeats_the_key_is_not_passed_on() -> None:
    async def trial() -> list[bytes]:
        content = b'{"a":"%b"}\n{"b":1}\n{"c":"Bearer %b"}' % (KEY.encode(), KEY.encode())
        async with http_server(told(content)) as (url, _), api(url) as adapter:
            return await results(adapter)

    assert asyncio.run(trial()) == [b'{"a":"..."}', b'{"b":1}', b'{"c":"Bearer ..."}']


def test_a_key_that_is_a_word_takes_nothing_out_of_reports() -> None:
    assert without_key([b"a test", b"b"], "test") == [b"a test", b"b"]
    assert without_key([b"a", b"b"], None) == [b"a", b"b"]


def test_results_without_a_line_are_no_lines() -> None:
    async def trial() -> list[bytes]:
        async with http_server(told(b"")) as (url, _), api(url) as adapter:
            return await results(adapter)

    assert asyncio.run(trial()) == []


def test_results_that_come_compressed_all_the_same_are_read() -> None:
    async def trial() -> list[bytes]:
        packed = gzip.compress(b'{"a":1}\n{"b":2}\n')
        handler = told(packed, **{"Content-Encoding": "gzip"})
        async with http_server(handler) as (url, _), api(url) as adapter:
            return await results(adapter)

    assert asyncio.run(trial()) == [b'{"a":1}', b'{"b":2}']


def test_a_hundred_lines_of_a_megabyte_come_whole() -> None:
    line = b'{"x":"' + b"y" * 1_000_000 + b'"}\n'

    async def stream(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(100):
            await answer.write(line)
        return answer

    async def trial() -> int:
        async with http_server(ended(stream)) as (url, _), api(url) as adapter:
            await adapter.retrieve(ID)
            count = 0
            async for lines in adapter.results(ID):
                assert all(len(one) == len(line) - 1 for one in lines)
                count += len(lines)
            return count

    assert asyncio.run(trial()) == 100


def lines_then(cut: Callable[[web.StreamResponse, web.Request], Awaitable[None]]) -> Any:
    async def stream(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b'{"a":1}\n{"b":2}\n{"c":')
        await asyncio.sleep(0.05)
        await cut(answer, request)
        return answer

    return ended(stream)


async def abort(_: web.StreamResponse, request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()


async def close(_: web.StreamResponse, request: web.Request) -> None:
    assert request.transport is not None
    request.transport.close()


async def silence(_: web.StreamResponse, request: web.Request) -> None:
    await asyncio.sleep(5)


@pytest.mark.parametrize("cut", [abort, close, silence])
def test_a_stream_that_is_cut_gives_its_whole_lines_first(cut: Any) -> None:
    async def trial() -> None:
        found: list[bytes] = []

        async def use(adapter: AnthropicApi) -> None:
            async for lines in adapter.results(ID):
                found.extend(lines)

        async with http_server(lines_then(cut)) as (url, _):
            error = await failure(api(url, timeouts=QUICK), use)
        assert found == [b'{"a":1}', b'{"b":2}']
        assert isinstance(error, Unavailable)
        assert error.reason is PauseReason.UNREACHABLE

    asyncio.run(trial())


def test_damaged_compression_is_told_as_a_cut() -> None:
    async def trial() -> None:
        packed = gzip.compress(b'{"a":1}\n' * 1000)
        handler = told(packed[:20] + b"garbage" + packed[30:], **{"Content-Encoding": "gzip"})
        async with http_server(handler) as (url, _):
            assert isinstance(await failure(api(url), results), Unavailable)

    asyncio.run(trial())


def test_a_caller_that_stops_early_lets_the_connection_go() -> None:
    gone = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b'{"a":1}\n' * 50_000)
        finally:
            gone.set()

    async def trial() -> None:
        async with http_server(ended(endless)) as (url, _), api(url) as adapter:
            async with aclosing(adapter.results(ID)) as stream:
                assert await anext(stream)
            await asyncio.wait_for(gone.wait(), 5)

    asyncio.run(trial())


@pytest.mark.parametrize(
    "where",
    [
        None,
        "/v1/messages/batches/msgbatch_1/results",
        "{own}/v1/messages/batches/msgbatch_1/results",
        "{other}/v1/messages/batches/msgbatch_1/results",
        "{other_without_scheme}/results",
        "http://{own_host}@{other_host}/results",
        "http://[nonsense/results",
    ],
)
def test_results_are_asked_for_at_the_apis_own_address_only(where: str | None) -> None:
    async def trial() -> None:
        async with http_server(answering(b"{}")) as (other, strangers):
            said: dict[str, Any] = {"processing_status": "ended"}

            async def handle(request: web.Request) -> web.Response:
                if request.path == "/v1/messages/batches/msgbatch_1/results":
                    return web.Response(body=b'{"a":1}\n')
                return web.Response(body=json.dumps(batch(**said)).encode())

            async with http_server(handle) as (own, _):
                said["results_url"] = where and where.format(
                    own=own,
                    other=other,
                    other_without_scheme=other.removeprefix("http:"),
                    own_host=own.removeprefix("http://"),
                    other_host=other.removeprefix("http://"),
                )
                async with api(own) as adapter:
                    assert await results(adapter) == [b'{"a":1}']
            assert strangers.requests == []

    asyncio.run(trial())
