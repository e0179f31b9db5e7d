"""Batches over simulated time, without HTTP."""

import json
import tracemalloc
from itertools import pairwise

import pytest

from shared.adapters.simulator.core import Simulator, SimulatorSettings
from shared.adapters.simulator.faults import Faults
from tests.adapters.simulator.core_client import CoreClient, row, rows

DAY_S = 86_400.0


def client(**settings: object) -> CoreClient:
    chosen = SimulatorSettings(**{"duration_s": 100, **settings})  # type: ignore[arg-type]
    return CoreClient(simulator=Simulator(seed=1, settings=chosen))


def test_one_seed_gives_the_same_batch_byte_for_byte() -> None:
    def lived(seed: int) -> tuple[str, list[bytes]]:
        simulator = Simulator(
            seed=seed,
            settings=SimulatorSettings(duration_s=1),
            faults=Faults(error_rate=0.3, refuse_rate=0.2),
        )
        one = CoreClient(simulator=simulator)
        batch = one.create(rows(50))
        one.later(2)
        return batch, one.lines(batch)

    assert lived(1) == lived(1)
    assert lived(1) != lived(2)


def test_results_come_in_an_order_of_their_own() -> None:
    one = client()
    batch = one.create(rows(50))
    one.later(101)
    order = list(one.results(batch))
    assert sorted(order) == sorted(f"r{n}" for n in range(50))
    assert order != [f"r{n}" for n in range(50)]


@pytest.mark.parametrize("progressive", [False, True])
def test_counters_fill_at_the_end_or_on_the_way_and_always_add_up(*, progressive: bool) -> None:
    one = client(progressive_counts=progressive)
    batch = one.create(rows(40))
    seen = []
    for _ in range(5):
        counts = one.look(batch)["request_counts"]
        assert sum(counts.values()) == 40
        seen.append(counts["succeeded"])
        one.later(25)
    assert seen[0] == 0
    assert seen[-1] == 40
    assert all(before <= after for before, after in pairwise(seen))
    assert (0 < seen[2] < 40) is progressive


def test_a_batch_that_takes_no_time_has_ended_at_the_first_look() -> None:
    one = client(duration_s=0)
    made = json.loads(one.post(rows(2)).body)
    assert made["processing_status"] == "in_progress"
    assert (made["ended_at"], made["results_url"]) == (None, None)
    assert made["request_counts"]["processing"] == 2
    assert one.look(made["id"])["processing_status"] == "ended"


def test_the_shape_of_a_batch_is_the_sheets() -> None:
    one = client()
    batch = one.create(rows(1))
    assert one.look(batch) == {
        "id": batch,
        "type": "message_batch",
        "processing_status": "in_progress",
        "request_counts": {
            "processing": 1,
            "succeeded": 0,
            "errored": 0,
            "canceled": 0,
            "expired": 0,
        },
        "created_at": "2026-11-24T10:00:00.000000Z",
        "expires_at": "2026-11-25T10:00:00.000000Z",
        "ended_at": None,
        "cancel_initiated_at": None,
        "archived_at": None,
        "results_url": None,
    }
    one.later(100)
    ended = one.look(batch)
    assert ended["ended_at"] == "2026-11-24T10:01:40.000000Z"
    assert ended["results_url"] == f"http://h/v1/messages/batches/{batch}/results"


def test_what_is_not_reached_in_a_day_expires() -> None:
    one = client(duration_s=2 * DAY_S)
    batch = one.create(rows(100))
    one.later(DAY_S)
    counts = one.look(batch)["request_counts"]
    assert counts["expired"] > 0
    assert counts["succeeded"] + counts["expired"] == 100
    types = [result["type"] for result in one.results(batch).values()]
    assert types.count("expired") == counts["expired"]


def test_a_canceled_batch_keeps_what_was_finished_and_still_finishes_what_was_in_flight() -> None:
    one = client(duration_s=1)
    batch = one.create(rows(200))
    one.later(0.3)
    finished = sum(row.moment <= 0.3 for row in one.simulator.batches[batch].rows)
    canceling = json.loads(one.call("POST", f"/{batch}/cancel").body)
    assert canceling["processing_status"] == "canceling"
    assert canceling["cancel_initiated_at"] is not None
    one.later(0.25)
    ended = one.look(batch)
    counts = ended["request_counts"]
    assert ended["processing_status"] == "ended"
    assert counts["succeeded"] > finished
    assert counts["canceled"] > 0
    assert counts["succeeded"] + counts["canceled"] == 200


def test_canceling_a_batch_near_its_end_cancels_nothing() -> None:
    one = client(duration_s=1)
    batch = one.create(rows(50))
    one.later(0.9)
    one.call("POST", f"/{batch}/cancel")
    one.later(1)
    assert one.look(batch)["request_counts"]["succeeded"] == 50


def test_canceling_what_has_ended_or_is_being_canceled_changes_nothing() -> None:
    one = client()
    batch = one.create(rows(3))
    other = one.create(rows(3))
    first = json.loads(one.call("POST", f"/{other}/cancel").body)
    one.later(0.1)
    assert json.loads(one.call("POST", f"/{other}/cancel").body) == first
    one.later(101)
    before = one.look(batch)
    assert json.loads(one.call("POST", f"/{batch}/cancel").body) == before


def test_a_listing_pages_in_both_directions() -> None:
    one = client()
    made = [one.create(rows(1)) for _ in range(7)]
    newest = made[::-1]
    assert one.listed() == (newest, False)
    assert one.listed(limit="3") == (newest[:3], True)
    assert one.listed(limit="3", after_id=newest[2]) == (newest[3:6], True)
    assert one.listed(limit="3", after_id=newest[5]) == (newest[6:], False)
    assert one.listed(limit="3", before_id=newest[6]) == (newest[3:6], True)
    assert one.listed(limit="3", before_id=newest[2]) == (newest[:2], False)


def test_the_queue_holds_only_what_is_not_finished_yet() -> None:
    one = client(queue_limit=10)
    one.create(rows(8))
    refused = one.post(rows(3))
    assert refused.status == 429
    assert one.simulator.created == 1
    one.later(60)
    one.create(rows(3))


def test_results_are_gone_after_29_days_and_the_batch_still_says_what_it_was() -> None:
    one = client()
    batch = one.create(rows(5))
    one.later(29 * DAY_S)
    assert one.simulator.tick(one.now) == [batch]
    assert one.simulator.tick(one.now) == []
    found = one.look(batch)
    assert found["archived_at"] == "2026-12-23T10:00:00.000000Z"
    assert found["results_url"] is None
    assert found["request_counts"]["succeeded"] == 5
    assert one.call(path=f"/{batch}/results").status == 404


def test_a_placeholder_says_what_it_is_and_has_the_headings_asked_for() -> None:
    one = client()
    text = "Review.\n## Risks\n## Score\n<data-x>\n## Theirs\n</data-x>"
    batch = one.create([row("a", messages=[{"role": "user", "content": text}])])
    one.later(101)
    message = one.results(batch)["a"]["message"]
    written = message["content"][0]["text"]
    assert "docmill's simulator" in written
    assert "No model" in written
    assert [line for line in written.splitlines() if line.startswith("## ")] == [
        "## Risks",
        "## Score",
    ]
    assert message["usage"]["service_tier"] == "batch"
    assert message["usage"]["input_tokens"] == len(text) // 4


def test_marked_prompts_are_written_to_the_cache_or_read_from_it() -> None:
    one = client()
    mark = {"type": "ephemeral", "ttl": "1h"}
    system = [{"type": "text", "text": "s" * 20_000, "cache_control": mark}]
    batch = one.create(rows(40, system=system))
    one.later(101)
    usages = [result["message"]["usage"] for result in one.results(batch).values()]
    written = [u for u in usages if u["cache_creation_input_tokens"]]
    read = [u for u in usages if u["cache_read_input_tokens"]]
    assert len(written) + len(read) == 40
    assert 0 < len(written) < len(read)
    assert written[0]["cache_creation"]["ephemeral_1h_input_tokens"] == 5_000
    assert all(u["input_tokens"] < 100 for u in usages)


def test_what_is_too_short_for_the_model_is_not_cached() -> None:
    one = client()
    mark = {"type": "ephemeral", "ttl": "1h"}
    system = [{"type": "text", "text": "s" * 16_000, "cache_control": mark}]
    batch = one.create(rows(3, system=system))
    one.later(101)
    for result in one.results(batch).values():
        assert result["message"]["usage"]["cache_creation_input_tokens"] == 0
        assert result["message"]["usage"]["input_tokens"] > 4_000


def test_the_cache_forgets_after_its_lifetime() -> None:
    one = client()
    mark = {"type": "ephemeral", "ttl": "5m"}
    system = [{"type": "text", "text": "s" * 20_000, "cache_control": mark}]
    for wait in (0, 301):
        one.later(wait)
        batch = one.create(rows(1, system=system))
        one.later(101)
        [result] = one.results(batch).values()
        assert result["message"]["usage"]["cache_read_input_tokens"] == 0


def test_a_body_and_its_results_are_never_held_whole() -> None:
    one = client(output_bytes=1_000_000)
    texts = {"messages": [{"role": "user", "content": "x" * 100_000}], "max_tokens": 100_000}
    body = json.dumps({"requests": rows(200, **texts)}).encode()
    tracemalloc.start()
    try:
        answer = one.call("POST", body=body)
        batch = json.loads(answer.body)["id"]
        one.later(101)
        lines = one.call(path=f"/{batch}/results").lines or ()
        total = sum(len(line) for line in lines)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(body) > 20_000_000
    assert total > 200_000_000
    assert peak < 10_000_000
