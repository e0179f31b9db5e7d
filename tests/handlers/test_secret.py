"""A stack without its API key, or with one that can't be read: it waits, and says for what."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from msgspec.structs import replace

from handlers import submit
from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import running_simulator
from shared.domain.batch import BatchStatus
from shared.domain.pause import PauseReason
from shared.ports.batch_api import Unavailable
from shared.wiring.ambient import utc_now
from shared.wiring.aws import home
from shared.wiring.secret import read_key
from tests.faults.cloud import batches, pass_leases
from tests.handlers.aws_home import JOB, Cloud, cloud

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:docmill-key"


@pytest.fixture
def aws(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setenv("DOCMILL_API_KEY_SECRET", "docmill-key")
    settings = SimulatorSettings(duration_s=0.1)
    with running_simulator(settings=settings) as provider, cloud(endpoint, provider) as found:
        yield found


def test_a_stack_whose_key_is_not_filled_in_waits_and_says_so(aws: Cloud) -> None:
    secrets = boto3.client("secretsmanager")
    secrets.create_secret(Name="docmill-key")
    aws.upload({f"{JOB}/a.md": b"# A", f"{JOB}/_READY": b""})
    assert aws.take_uploads() == []
    for _ in range(3):
        assert submit.handler({}, aws.invocation)["requests"] == 0
    pause = home().store.pause()
    assert pause is not None
    assert pause.reason is PauseReason.ACCESS
    assert "holds no value yet; put the Anthropic API key" in pause.message
    assert "\n" not in pause.message
    assert [batch.status for batch in batches(*BatchStatus)] == [BatchStatus.PLANNED]

    secrets.put_secret_value(SecretId="docmill-key", SecretString="dummy\n")
    home().store.swap_pause(replace(pause, until=utc_now()))  # its time has passed
    pass_leases()
    aws.settle()
    assert aws.reports() == {"a.md.md"}
    assert len(batches(*BatchStatus)) == 1
    assert len(aws.paid()) == 1


class Answering:
    """A client of Secrets Manager with one answer."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def get_secret_value(self, **asked: str) -> Any:
        assert asked == {"SecretId": ARN}
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "m\nm"}}, "GetSecretValue")


@pytest.mark.parametrize(
    ("answer", "reason", "said"),
    [
        (refused("AccessDeniedException"), PauseReason.ACCESS, "may not be read"),
        (refused("DecryptionFailure"), PauseReason.ACCESS, "its KMS key"),
        (refused("InternalServiceError"), PauseReason.UNREACHABLE, "can't be read now"),
        (refused("ThrottlingException"), PauseReason.UNREACHABLE, "ThrottlingException"),
        (EndpointConnectionError(endpoint_url="x"), PauseReason.UNREACHABLE, "can't be read now"),
        ({"SecretString": "  "}, PauseReason.ACCESS, "is empty"),
        ({"SecretBinary": b"key"}, PauseReason.ACCESS, "is empty"),
        ({"SecretString": '{"key": "x"}'}, PauseReason.ACCESS, "odd character"),
    ],
)
def test_what_is_wrong_with_it_is_said_in_one_line(
    answer: object, reason: PauseReason, said: str
) -> None:
    with pytest.raises(Unavailable, match=said) as caught:
        read_key(Answering(answer), ARN)
    assert caught.value.reason is reason
    assert ARN in caught.value.message
    assert "\n" not in caught.value.message


def test_the_key_is_taken_without_the_line_end_of_its_file() -> None:
    assert read_key(Answering({"SecretString": "sk-ant-x\n"}), ARN) == "sk-ant-x"
