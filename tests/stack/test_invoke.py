"""events/*.json with `sam remote invoke`, on a stack that holds none of it: see infra/README.md."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.stack.deployed import Deployed
from tests.stack.ministack import ROOT

NONE: dict[str, list[Any]] = {"batchItemFailures": []}
EVENTS = ROOT / "events"
INTAKE = (
    *("s3-put.json", "s3-put-url-encoded-key.json", "s3-test-event.json"),
    *("sqs-s3-put.json", "sqs-s3-batch.json", "sqs-poison.json"),
)


def test_every_event_is_taken_by_its_function_as_it_is(stack: Deployed) -> None:
    poison = json.loads((EVENTS / "sqs-poison.json").read_text())["Records"][0]["messageId"]
    wanted: dict[tuple[str, str], Any] = {("Intake", name): NONE for name in INTAKE}
    wanted["Intake", "sqs-poison.json"] = {"batchItemFailures": [{"itemIdentifier": poison}]}
    wanted["Collect", "sqs-collect.json"] = NONE
    for timer in ("Submit", "Poll", "Reconcile"):
        wanted[timer, "scheduler-tick.json"] = None
    assert {name for _, name in wanted} == {path.name for path in EVENTS.glob("*.json")}

    def invoke(asked: tuple[str, str]) -> Any:
        function, name = asked
        words = ("remote", "invoke", function, "--event-file", f"events/{name}")
        return json.loads(stack.aws.sam(*words))

    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(wanted, pool.map(invoke, wanted), strict=True))
    for asked, answer in answers.items():
        if wanted[asked] is not None:
            assert answer == wanted[asked], asked
        else:
            assert answer, asked
            assert all(isinstance(count, int) for count in answer.values()), asked
    assert stack.outputs("project-analysis") == {}


def test_the_events_of_s3_have_the_shape_of_those_that_sam_makes(stack: Deployed) -> None:
    """`sam local invoke` needs a container engine and is not tried here; its events are these."""
    made = json.loads(stack.aws.sam("local", "generate-event", "s3", "put"))
    for name in ("s3-put.json", "s3-put-url-encoded-key.json"):
        assert shape(json.loads((EVENTS / name).read_text())) == shape(made)
    made = json.loads(stack.aws.sam("local", "generate-event", "sqs", "receive-message"))
    for name in ("sqs-s3-put.json", "sqs-s3-batch.json", "sqs-poison.json", "sqs-collect.json"):
        for record in json.loads((EVENTS / name).read_text())["Records"]:
            assert shape(record) == shape(made["Records"][0])


def shape(value: Any) -> Any:
    """The names that it has, without what they hold."""
    match value:
        case dict():
            return {key: shape(inner) for key, inner in value.items()}
        case list():
            return [shape(inner) for inner in value]
    return type(value).__name__
