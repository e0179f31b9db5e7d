"""Events and keys of every kind through the functions: a bad one costs only itself."""

import json
from typing import Any
from urllib.parse import quote_plus

from handlers import intake, reconcile
from shared.app.groups import mark_stale
from shared.app.sightings import is_document
from shared.app.uploads import UNPLACED
from shared.domain.ids import JobName
from shared.domain.names import InvalidName, check_job, check_path, escaped
from shared.wiring.aws import MAX_RECIPE_BYTES, home
from tests.handlers.aws_home import JOB, Cloud, load
from tests.hostile.test_names_stay_inside import CORPUS

BAD_BODIES: tuple[object, ...] = (
    *(None, 5, [], "", "null", "[]", "{}", "x" * 100_000, "[" * 50_000, '{"Records": 1}', "\ud800"),
    *('{"Records": [null]}', '{"Records": [{"eventName": "ObjectCreated:Put"}]}', "{" * 1000),
    *('{"Records": [{"eventName": null, "s3": {"object": {"key": "a/b"}}}]}', "\x00", "NaN"),
    *('{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": [1]}}}]}', "1e999"),
)
BAD_KEYS = ("", "x" * 1025, "a/" + "x" * 1_000_000, "é" * 513, "\ud800", "a/\udcff/_READY")
GOOD_KEYS = (f"{JOB}/one.md", f"{JOB}/a/two.md", f"{JOB}/b c/drei ü.md")
EVERY_BYTE = ["".join(map(chr, range(start, start + 16))) for start in range(0, 0x250, 16)]


def notification(key: str, name: str = "ObjectCreated:Put") -> str:
    event = load("s3-put.json")
    event["Records"][0]["eventName"] = name
    event["Records"][0]["s3"]["object"]["key"] = quote_plus(key, errors="surrogatepass")
    if any("\ud800" <= char <= "\udfff" for char in key):
        event["Records"][0]["s3"]["object"]["key"] = key
    return json.dumps(event)


def failed(bodies: dict[str, object], aws: Cloud) -> set[str]:
    records = [{"messageId": name, "body": body} for name, body in bodies.items()]
    answer = intake.handler({"Records": records}, aws.invocation)
    return {item["itemIdentifier"] for item in answer["batchItemFailures"]}


def documents(job: str) -> dict[str, Any]:
    return {document.path: document for document in home().store.all_documents(JobName(job))}


def test_in_one_event_only_the_bad_messages_come_back(aws: Cloud) -> None:
    aws.upload(dict.fromkeys(GOOD_KEYS, b"text"))
    bodies: dict[str, object] = {f"bad {n}": body for n, body in enumerate(BAD_BODIES)}
    bodies |= {f"bad key {n}": notification(key) for n, key in enumerate(BAD_KEYS)}
    bodies |= {f"good {n}": notification(key) for n, key in enumerate(GOOD_KEYS)}
    bodies |= {
        "removed": notification("x/y", "ObjectRemoved:Delete"),
        "unknown event": notification("x/y", "ObjectRestore:Completed"),
        "never there": notification("x/never-there.md"),
        "no job, never there": notification("never-there.md"),
        "test": json.dumps(load("s3-test-event.json")),
    }
    mixed = dict(sorted(bodies.items(), key=lambda item: hash(item[0][::-1])))
    assert failed(mixed, aws) == {name for name in bodies if name.startswith("bad")}
    assert {"one.md", "a/two.md", "b c/drei ü.md"} <= set(documents(JOB))
    assert documents("x") == {}
    assert documents(UNPLACED) == {}


def test_keys_of_every_kind_are_taken_in_or_told_and_none_takes_others_along(aws: Cloud) -> None:
    keys = {f"job/{name}" for name in CORPUS} | {f"job/{odd}" for odd in EVERY_BYTE} | {*CORPUS}
    keys |= {
        f"{job}/x.md" for job in ("..", "a\\b", "\x07", "j" * 121, "\u202ejob", "é" * 61, "j/..")
    }
    keys = set(sorted(filter(can_be_put, keys))[::3])
    put = set()
    for key in sorted(keys):
        try:
            aws.s3.put_object(Bucket=aws.input, Key=key, Body=b"text")
            aws.s3.head_object(Bucket=aws.input, Key=key)
        except Exception:  # noqa: BLE001 - moto's web server can't hear of some keys
            continue
        put.add(key)
    assert len(put) > 80
    assert failed({key: notification(key) for key in sorted(put)}, aws) == set()
    jobs = {job: by_source(job) for job in {UNPLACED, *(key.partition("/")[0] for key in put)}}
    unplaced = jobs[UNPLACED]
    for key in put:
        job, slash, path = key.partition("/")
        if not (slash and job and fits(check_job, job)):
            assert unplaced[key] in ("no_job", "invalid_name")
        elif is_document(path):
            usable = (None, "invalid_row") if path.endswith(".jsonl") else (None,)
            assert jobs[job][key] in (usable if fits(check_path, path) else ("invalid_name",)), key
    before = aws.keys()
    reconcile.handler(load("scheduler-tick.json"), aws.invocation)
    assert all(key.endswith(("/failures.jsonl", "/summary.json")) for key in aws.keys() - before)
    told = aws.failures(UNPLACED)
    assert len(told) == len(unplaced)
    assert all(line["message"] == escaped(line["message"]) for line in told)


def by_source(job: str) -> dict[str, str | None]:
    return {d.content.source: d.failure and d.failure.type for d in documents(job).values()}


def can_be_put(key: str) -> bool:
    if not key or any("\ud800" <= char <= "\udfff" for char in key):
        return False
    return len(key.encode()) <= 1024


def fits(check: Any, name: str) -> bool:
    try:
        check(name)
    except InvalidName:
        return False
    return True


def test_jobs_with_hostile_recipes_keep_no_other_from_its_reports(aws: Cloud) -> None:
    hostile = {
        "a": b"x" * (MAX_RECIPE_BYTES + 1),
        "b": b"\xff\xfe",
        "c": b"",
        "d": b"---\n---\n",
        "e": b"---\na: &a [*a]\n---\nx",
        "f": b"---\nmodel: m\n---\n{{ 1" + b"+1" * 50_000 + b" }}",
        "g": b"---\nmodel: m\n---\n{% for i in range(9**5) %}{% for j in range(9**5) %}{% endfor %}"
        b"{% endfor %}",
    }
    for job, recipe in hostile.items():
        aws.upload({f"{job}/_recipe.md": recipe, f"{job}/x.md": b"x", f"{job}/_READY": b""})
    aws.upload({f"{JOB}/good.md": b"good", f"{JOB}/_READY": b""})
    assert aws.take_uploads() == []
    aws.settle()
    assert aws.reports() == {"good.md.md"}
    for job in hostile:
        assert [line["type"] for line in aws.failures(job)] == ["recipe_invalid"], job


def test_a_job_that_can_not_be_published_keeps_no_other_from_it(aws: Cloud) -> None:
    for job in ("a" * 1020, "b", "c" * 1020, "d"):
        mark_stale(home().store, JobName(job))
    reconcile.handler(load("scheduler-tick.json"), aws.invocation)
    assert {"b/summary.json", "d/summary.json"} <= aws.keys()
