"""AWS on this machine: MiniStack, an SQS, S3, DynamoDB, Lambda and more in one process.

What of the template it doesn't take as AWS does is mended in `mended`, and nowhere else.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tests.aws import REGION

ROOT = Path(__file__).parents[2]
VENV = Path(os.environ.get("DOCMILL_STACK_VENVS", ROOT / ".venv"))
BUILT = ROOT / "dist" / "sam"
STACK = "docmill"
_START_S = 30.0


class Ministack:
    """The server. Its state outlives `restart`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self.environment = {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        environment = self.environment | {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self._port),
            "PERSIST_STATE": "1",
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self._folder / "s3"),
            "STATE_DIR": str(self._folder / "state"),
        }
        with (self._folder / "ministack.log").open("ab") as log:
            self._process = subprocess.Popen(
                [VENV / "ministack" / "bin" / "ministack"],
                env=environment,
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + _START_S
        while True:
            with suppress(BotoCoreError, ClientError):
                self.client("sts").get_caller_identity()
                return
            assert time.monotonic() < end, self.log()[-3000:]
            time.sleep(0.2)

    def stop(self) -> None:
        """End it as an operator would, who gives it time to save."""
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Everything goes away, and comes back as it was saved."""
        self.stop()
        self.start()

    def client(self, service: str) -> Any:
        """boto3's client."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def log(self) -> str:
        """What it and the functions wrote."""
        return (self._folder / "ministack.log").read_text(encoding="utf-8", errors="replace")

    def deploy(self, parameters: Mapping[str, object]) -> dict[str, str]:
        """`sam deploy` of what `sam build` made; the answer is the stack's outputs."""
        overrides = [f"{name}={value}" for name, value in parameters.items()]
        self.sam(
            *("deploy", "--no-confirm-changeset", "--config-file", ROOT / "samconfig.toml"),
            *("--template-file", BUILT / "template.yaml", "--stack-name", STACK),
            *("--parameter-overrides", *overrides),
        )
        self.mended()
        [stack] = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    def sam(self, *words: str | Path) -> str:
        """What `sam` prints, called in the checkout as README says."""
        done = subprocess.run(
            [VENV / "sam" / "bin" / "sam", *words],
            env=self.environment | {"SAM_CLI_TELEMETRY": "0"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def mended(self) -> None:
        """A parameter of type Number reaches an event source mapping as text, and fails there."""
        functions = self.client("lambda")
        for source in functions.list_event_source_mappings()["EventSourceMappings"]:
            most = int(source["ScalingConfig"]["MaximumConcurrency"])
            functions.update_event_source_mapping(
                UUID=source["UUID"], ScalingConfig={"MaximumConcurrency": most}
            )


@contextmanager
def ministack(folder: Path) -> Iterator[Ministack]:
    """A server that ends with the block."""
    found = Ministack(folder)
    found.start()
    try:
        yield found
    finally:
        found.stop()
