"""What lies in a bucket already is fed to a stack, and a run that was killed is gone on with."""

import sys
from uuid import uuid4

import pytest

from handlers.cli.stack import backfill as feeding
from shared.domain.ids import JobName
from shared.wiring.aws import home
from tests.handlers.cli.stack.deployed import RECIPE, Deployed
from tests.handlers.cli.stack.test_drop import AWKWARD

JOB = "review"


@pytest.fixture
def source(stack: Deployed) -> str:
    """Another bucket, with documents below `old/`, and neighbours."""
    name = f"source-{uuid4().hex[:8]}"
    s3 = stack.cloud.s3
    s3.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name}
    )
    for number, path in enumerate((*AWKWARD, ".hidden", "_recipe.md", "sub/_READY")):
        s3.put_object(Bucket=name, Key=f"old/{path}", Body=b"# %d" % number)
    s3.put_object(Bucket=name, Key="older/other.md", Body=b"# Other")
    return name


def test_another_bucket_is_copied_by_s3_and_becomes_reports(stack: Deployed, source: str) -> None:
    stack.cloud.upload({f"{JOB}/_recipe.md": RECIPE.encode()})
    done = stack("backfill", f"s3://{source}/old", "--job", JOB, "--group", "past")
    assert (done.status, done.err) == (0, "")
    assert "8 objects copied" in done.out
    assert "3 passed over" in done.out
    copied = set(stack.inputs(f"{JOB}/past/"))
    assert copied == {f"{JOB}/past/{path}" for path in AWKWARD}

    [told] = stack(
        "backfill", f"s3://{source}/old/", "--job", JOB, "--group", "past", "--json"
    ).events
    assert (told["sent"], told["there"]) == (0, 8)

    stack.cloud.upload({f"{JOB}/_READY": b""})
    assert stack.cloud.take_uploads() == []
    stack.cloud.settle(JOB)
    assert stack.cloud.reports(JOB) == {f"past/{path}.md" for path in AWKWARD}


def test_names_that_cannot_be_used_are_told_and_the_others_are_copied(
    stack: Deployed, source: str
) -> None:
    stack.cloud.s3.put_object(Bucket=source, Key="old/back\\slash.md", Body=b"# x")
    stack.cloud.s3.put_object(Bucket=source, Key="old//empty.md", Body=b"# x")
    done = stack("backfill", f"s3://{source}/old", "--job", JOB)
    assert done.status == 1
    assert "backslash" in done.err
    assert "it is absolute" in done.err
    assert "job review has no recipe" in done.err
    assert len(stack.inputs(f"{JOB}/")) == 8


def test_a_copy_of_what_went_up_in_parts_is_known_again(stack: Deployed, source: str) -> None:
    s3, place = stack.cloud.s3, {"Bucket": source, "Key": "parts/a.md"}
    upload = s3.create_multipart_upload(**place)["UploadId"]
    part = s3.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"# In parts")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload=parts)
    words = ("backfill", f"s3://{source}/parts", "--job", JOB, "--json")
    assert stack(*words).events[0]["sent"] == 1
    [etag] = stack.inputs(f"{JOB}/").values()
    assert "-" not in etag, "the copy has another etag"
    again = stack(*words).events[0]  # within the second of the first it is copied once more
    assert again["sent"] + again["there"] == 1


def test_a_run_that_is_killed_is_gone_on_with(
    stack: Deployed, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = stack.cloud.s3
    for number in range(40):
        s3.put_object(Bucket=source, Key=f"many/{number:02}.md", Body=b"# %d" % number)
    words = ("backfill", f"s3://{source}/many", "--job", JOB, "--json")
    monkeypatch.setattr(feeding, "_AHEAD", 1)
    plain = feeding._Backfill._copied
    copied: list[object] = []

    def dies(self: object, *args: object) -> None:
        copied.append(args)
        if len(copied) > 15:
            sys.exit(137)
        plain(self, *args)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(feeding._Backfill, "_copied", dies)
        stack(*words)
    there = len(stack.inputs(f"{JOB}/"))
    assert 15 <= there < 40
    [told] = stack(*words).events
    assert (told["sent"], told["there"]) == (40 - there, there)
    assert len(stack.inputs(f"{JOB}/")) == 40
    assert stack.versions(stack.cloud.input) == 40, "none was copied twice"


def test_what_lies_where_it_belongs_is_named_to_intake(stack: Deployed) -> None:
    aws = stack.cloud
    aws.s3.put_bucket_notification_configuration(Bucket=aws.input, NotificationConfiguration={})
    aws.upload({f"{JOB}/{path}": b"# before docmill" for path in AWKWARD})
    aws.upload({f"{JOB}/other/{n:02}.md": b"# %d" % n for n in range(50)})
    assert aws.take_uploads() == []
    assert home().store.count(JobName(JOB)) == {}

    words = ("backfill", f"s3://{aws.input}/{JOB}/other", "--job", JOB, "--json")
    [told] = stack(*words).events
    assert (told["in_place"], told["sent"], told["there"]) == (True, 50, 0)
    assert stack.waiting(aws.uploads) == 3
    assert aws.take_uploads() == []
    [told] = stack(*words).events
    assert (told["sent"], told["there"]) == (0, 50)

    aws.upload({f"{JOB}/other/07.md": b"# changed"})
    [told] = stack("backfill", f"s3://{aws.input}/{JOB}/", "--job", JOB, "--json").events
    assert (told["sent"], told["there"]) == (len(AWKWARD) + 1, 49)
    assert aws.take_uploads() == []
    known = {each.path for each in home().store.all_documents(JobName(JOB))}
    assert known == {*AWKWARD, *(f"other/{n:02}.md" for n in range(50))}


def test_another_folder_of_the_input_bucket_is_copied_into_the_job(stack: Deployed) -> None:
    stack.cloud.upload({"archive/2024/a.md": b"# A", "archive/2024/b/c.md": b"# C"})
    assert stack("backfill", f"s3://{stack.cloud.input}/archive/2024", "--job", JOB).status == 0
    assert set(stack.inputs(f"{JOB}/")) == {f"{JOB}/a.md", f"{JOB}/b/c.md"}
    said = stack("backfill", f"s3://{stack.cloud.input}/", "--job", JOB).said
    assert "copied again" in said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("bucket/prefix", "no address"),
        ("s3://no-such-bucket-anywhere/x", "there is no bucket"),
    ],
)
def test_a_source_that_is_none_is_said(stack: Deployed, source: str, said: str) -> None:
    assert said in stack("backfill", source, "--job", JOB).said


def test_nothing_there_is_said(stack: Deployed, source: str) -> None:
    assert "no documents below" in stack("backfill", f"s3://{source}/none", "--job", JOB).said
