"""Counting through the SDK adapter, against servers that answer and lie."""

import asyncio
import json

import pytest

from shared.ports.batch_api import ApiError, Unavailable
from tests.adapters.api_server import QUICK, answering, api, http_server

PARAMS = {"model": "claude-opus-4-6", "messages": [{"role": "user", "content": "Hi"}]}


def test_one_post_holds_what_the_call_takes_and_no_more() -> None:
    async def main() -> None:
        long = {**PARAMS, "system": "é" * 700_000, "max_tokens": 5, "metadata": {"user_id": "u"}}
        async with http_server(answering({"input_tokens": 42})) as (url, seen), api(url) as adapter:
            assert await adapter.count_tokens(long) == 42
        [request], [body] = seen.requests, seen.bodies
        assert request.path == "/v1/messages/count_tokens"
        assert json.loads(body) == {**PARAMS, "system": "é" * 700_000}

    asyncio.run(main())


@pytest.mark.parametrize(
    "said", [b"", b"[]", b'{"input_tokens": null}', b'{"input_tokens": -1}', b"\xff"]
)
def test_an_answer_without_a_number_is_no_count(said: bytes) -> None:
    async def main() -> ApiError:
        async with http_server(answering(said)) as (url, _), api(url, timeouts=QUICK) as adapter:
            with pytest.raises(Unavailable) as caught:
                await adapter.count_tokens(PARAMS)
        return caught.value

    assert "no count of tokens" in asyncio.run(main()).message
