"""The stack as `sam build` and `sam deploy` make it, from upload to report: `make stack`."""

import json
from typing import Any

from tests.stack.deployed import RECIPE, Deployed

JOB = "project-analysis"
DOCUMENTS = 500
GROUPS = 5


def test_500_documents_become_500_reports_through_a_restart_of_everything(stack: Deployed) -> None:
    """By the stack's own timers; reconcile's, which are five minutes apart, are made one."""
    aws, sqs = stack.aws, stack.aws.client("sqs")
    told = listening(stack)
    every_minute(stack, "docmill-reconcile")
    stack.hide("UploadQueue", 5)

    documents = {f"{n % GROUPS}/{n:03}.md": b"# Project %d\n" % n for n in range(DOCUMENTS)}
    sqs.send_message(QueueUrl=stack.queue("UploadQueue"), MessageBody="poison")
    stack.upload(JOB, documents)
    again = notification(f"{JOB}/0/000.md")
    sqs.send_message(QueueUrl=stack.queue("UploadQueue"), MessageBody=again)
    stack.until(lambda: stack.waiting("UploadQueue") == 0, "uploads are left")
    assert stack.waiting("UploadDeadLetters") == 1

    stack.upload(JOB, {f"{group}/_READY": b"" for group in range(GROUPS)})
    stack.until(lambda: len(stack.paid(JOB)) == DOCUMENTS, "not all were submitted")
    aws.restart()
    aws.mended()
    # An answer may have been on its way, and then the batch is in doubt once the lease is over.
    stack.pass_leases(JOB)

    def finished() -> bool:
        return bool(stack.summary(JOB).get("documents", {}).get("reported") == DOCUMENTS)

    stack.until(finished, "reports are missing")
    assert stack.reports(JOB) == {f"{path}.md": 1 for path in documents}
    assert len(stack.paid(JOB)) == len(set(stack.paid(JOB))) == DOCUMENTS
    assert stack.waiting("UploadDeadLetters") == 1
    texts: list[str] = []

    def all_told() -> bool:
        answer = aws.client("sqs").receive_message(QueueUrl=told, MaxNumberOfMessages=10)
        texts.extend(json.loads(each["Body"])["Message"] for each in answer.get("Messages", ()))
        return len(set(texts)) >= GROUPS

    stack.until(all_told, f"not all groups were told of: {texts}")
    assert {text.strip('"') for text in texts} == {
        f"docmill docmill: group {group} of job {JOB} is finished: 100 reported, 0 failed"
        for group in range(GROUPS)
    }


def test_uploads_that_failed_are_reported_once_their_cause_is_gone_and_they_are_redriven(
    stack: Deployed,
) -> None:
    """The cause is a function that doesn't find its table, as after a deployment gone wrong."""
    job = "redriven"
    stack.hide("UploadQueue", 1)
    malformed = stack.waiting("UploadDeadLetters") or poison(stack)
    variables = stack.configuration("Intake")["Environment"]["Variables"]
    broken = variables | {"DOCMILL_TABLE": "no-such-table"}
    stack.configure("Intake", Environment={"Variables": broken})
    documents = {"_recipe.md": RECIPE, "a.md": b"# A", "b.md": b"# B"}
    stack.upload(job, documents)
    dead = len(documents) + malformed
    stack.until(lambda: stack.waiting("UploadDeadLetters") == dead, "they don't end as dead")
    assert stack.waiting("UploadQueue") == 0

    stack.configure("Intake", Environment={"Variables": variables})
    [redriven] = stack.docmill("redrive")
    assert redriven["uploads"] == dead
    stack.until(lambda: stack.waiting("UploadQueue") == 0, "the redriven are left")
    assert stack.waiting("UploadDeadLetters") == malformed, "what nobody can read is dead again"
    stack.upload(job, {"_READY": b""})
    stack.until(lambda: len(stack.reports(job)) == 2, "no reports", meanwhile=["Poll"])
    assert stack.reports(job) == {"a.md.md": 1, "b.md.md": 1}
    assert len(stack.paid(job)) == 2


def poison(stack: Deployed) -> int:
    """A message that nobody can read, in the queue of dead letters."""
    url = stack.queue("UploadQueue")
    stack.aws.client("sqs").send_message(QueueUrl=url, MessageBody="poison")
    stack.until(lambda: stack.waiting("UploadDeadLetters") == 1, "poison doesn't end as dead")
    return 1


def every_minute(stack: Deployed, name: str) -> None:
    scheduler = stack.aws.client("scheduler")
    schedule = scheduler.get_schedule(Name=name)
    kept: dict[str, Any] = {key: schedule[key] for key in ("FlexibleTimeWindow", "Target")}
    scheduler.update_schedule(Name=name, ScheduleExpression="rate(1 minute)", **kept)


def notification(key: str) -> str:
    """What S3 sends, once more."""
    record = {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": key}}}
    return json.dumps({"Records": [record]})


def listening(stack: Deployed) -> str:
    """A queue that gets what the topic tells."""
    sqs = stack.aws.client("sqs")
    url: str = sqs.create_queue(QueueName="told")["QueueUrl"]
    asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    stack.aws.client("sns").subscribe(
        TopicArn=stack.out["NotificationsTopicArn"],
        Protocol="sqs",
        Endpoint=asked["Attributes"]["QueueArn"],
    )
    return url
