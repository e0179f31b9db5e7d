"""Calls of the core without HTTP, for tests that turn the clock themselves."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.adapters.simulator.core import BATCHES, Simulator, SimulatorSettings
from shared.adapters.simulator.messages import Request, Response

START = datetime(2026, 11, 24, 10, tzinfo=UTC)
HEADERS = {"authorization": "Bearer k", "anthropic-version": "2026-10-21", "host": "h"}


def row(custom_id: str, **params: Any) -> dict[str, Any]:
    """One request of a create call, its params changed; None leaves one out."""
    fields = {
        "model": "claude-opus-4-6",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "Hi\n## Risks\n"}],
        **params,
    }
    return {
        "custom_id": custom_id,
        "params": {name: value for name, value in fields.items() if value is not None},
    }


def rows(count: int, **params: Any) -> list[dict[str, Any]]:
    """So many requests."""
    return [row(f"r{number}", **params) for number in range(count)]


@dataclass
class CoreClient:
    """A simulator whose batches take 100 seconds, and its time."""

    simulator: Simulator = field(
        default_factory=lambda: Simulator(seed=1, settings=SimulatorSettings(duration_s=100))
    )
    now: datetime = START

    def call(
        self,
        method: str = "GET",
        path: str = "",
        *,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        body: bytes = b"",
        length: int | None = None,
    ) -> Response:
        """One call, its path below the batches'."""
        request = Request(
            method=method,
            path=BATCHES + path,
            query=query or {},
            headers=HEADERS if headers is None else headers,
            body=body,
            length=length,
        )
        return self.simulator.apply(self.now, request)

    def post(self, requests: Any, **headers: str) -> Response:
        """Create, whatever the answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = json.dumps({"requests": requests}).encode()
        return self.call("POST", body=body, headers=HEADERS | named)

    def create(self, requests: Any, **headers: str) -> str:
        """Create; the answer is the batch's id."""
        answer = self.post(requests, **headers)
        assert answer.status == 200, answer.body
        return str(json.loads(answer.body)["id"])

    def look(self, batch_id: str) -> dict[str, Any]:
        """Retrieve."""
        answer = self.call(path=f"/{batch_id}")
        assert answer.status == 200, answer.body
        return dict(json.loads(answer.body))

    def listed(self, **query: str) -> tuple[list[str], bool]:
        """The ids of a page, and whether there is more."""
        page = json.loads(self.call(query=query).body)
        return [batch["id"] for batch in page["data"]], page["has_more"]

    def lines(self, batch_id: str) -> list[bytes]:
        """The lines of the results."""
        answer = self.call(path=f"/{batch_id}/results")
        assert answer.status == 200, answer.body
        return list(answer.lines or ())

    def results(self, batch_id: str) -> dict[str, dict[str, Any]]:
        """The results by custom_id."""
        decoded = [json.loads(line) for line in self.lines(batch_id)]
        return {line["custom_id"]: line["result"] for line in decoded}

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


def error_of(answer: Response) -> tuple[int, str, str]:
    """Status, type and message of an error answer."""
    error = json.loads(answer.body)["error"]
    return answer.status, error["type"], error["message"]
