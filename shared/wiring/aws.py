"""The AWS home: S3 for documents and reports, DynamoDB for state, SQS between the functions.

Clients are made once per process and kept warm; the API's client is made per invocation, because
its connections belong to that invocation's event loop, and only when it is called, because
importing the SDK takes two seconds.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.adapters.anthropic_api import AnthropicApi
from shared.adapters.builtin import builtin_recipes, catalog
from shared.adapters.dynamo_store import DynamoStore
from shared.adapters.s3_blobs import S3Blobs, obstore_of, s3_blobs
from shared.app.deps import Deps, NoRecipe
from shared.app.digest_notes import RECIPE_MISSING
from shared.app.sightings import RECIPE_NAME
from shared.domain.digest import DIGEST_RECIPE, digested_job
from shared.domain.document import Failure
from shared.domain.ids import BatchId, JobName
from shared.domain.policy import Policy
from shared.domain.recipe import MAX_RECIPE_CHARACTERS, Recipe, RecipeError, parse_recipe
from shared.ports.blobs import BlobNotFound, Blobs, BlobUnreadable
from shared.wiring.ambient import new_batch_id, utc_now
from shared.wiring.announced import AnnouncedReports
from shared.wiring.conversion import converter
from shared.wiring.followed import Followed
from shared.wiring.guard import template_guard
from shared.wiring.logs import configure_logs
from shared.wiring.metrics import metric_line
from shared.wiring.notices import NOTICES, Notices
from shared.wiring.secret import read_key
from shared.wiring.settings import Settings

REQUIRED = ("DOCMILL_TABLE", "DOCMILL_INPUT_BUCKET", "DOCMILL_OUTPUT_BUCKET")
_RETRIES = Config(
    retries={"mode": "standard", "max_attempts": 5},
    max_pool_connections=32,
    connect_timeout=5,
    read_timeout=20,
)
INDEX_LAG = timedelta(seconds=60)
"""DynamoDB gives no bound for how far an index may lag; it is usually well below a second."""
_MAX_RESULTS_BYTES = 16_000_000_000
"""Results can't be read from their middle, so a function has to get through all of them before its
15 minutes are over: at 50 MB/s, this takes 5."""

_SECRET_KEPT_S = 300.0
MAX_RECIPE_BYTES = 4 * MAX_RECIPE_CHARACTERS


@dataclass(slots=True)
class _Kept:
    """A value that is read anew once it is older than `seconds`."""

    seconds: float
    read: Callable[[], Any]
    value: Any = field(default=None, repr=False)
    at: float = field(default=float("-inf"))

    def get(self) -> Any:
        if time.monotonic() - self.at > self.seconds:
            self.value, self.at = self.read(), time.monotonic()
        return self.value


class AwsHome:
    """What stays between invocations of one function's process."""

    def __init__(self, settings: Settings) -> None:
        configure_logs(settings.log_level)
        self.settings = settings
        self.log = structlog.get_logger("docmill")
        s3 = boto3.client("s3", config=_RETRIES)
        endpoint = settings.s3_endpoint or None
        self.documents = s3_blobs(settings.input_bucket, client=s3, endpoint=endpoint)
        self.reports: S3Blobs = AnnouncedReports(
            settings.output_bucket,
            client=s3,
            store=obstore_of(settings.output_bucket, client=s3, endpoint=endpoint),
            announce=self.tell,
        )
        self.store = DynamoStore(boto3.client("dynamodb", config=_RETRIES), settings.table)
        self._key = _Kept(_SECRET_KEPT_S, self._read_key)

    @asynccontextmanager
    async def deps(self) -> AsyncIterator[Deps]:
        """The use cases' dependencies for one invocation."""
        async with AnthropicApi(
            api_key=self._key.get, base_url=self.settings.base_url or None
        ) as api:
            followed = Followed(self.log)
            try:
                yield Deps(
                    documents=self.documents,
                    reports=self.reports,
                    store=self.store,
                    api=api,
                    recipe=JobRecipes(self.documents),
                    catalog=catalog(),
                    clock=utc_now,
                    new_batch_id=new_batch_id,
                    spool_dir=Path(tempfile.gettempdir()),
                    policy=Policy(
                        poll_interval=self.settings.poll_interval,
                        looks_per_minute=self.settings.looks_per_minute,
                        doubt_grace=self.settings.doubt_grace,
                        index_lag=INDEX_LAG,
                        max_results_bytes=_MAX_RESULTS_BYTES,
                        max_batch_requests=self.settings.max_batch_requests,
                        max_batch_bytes=self.settings.max_batch_bytes,
                        max_request_bytes=self.settings.max_request_bytes,
                        reports_by_job=True,
                    ),
                    converter=converter(),
                    emit=self.tell,
                    follow=followed,
                )
            finally:
                followed.flush()

    def ask_to_collect(self, batches: tuple[BatchId, ...]) -> None:
        """Queue ended batches for the collect function."""
        for batch in batches:
            self._send(self.settings.collect_queue_url, json.dumps({"batch_id": batch}))

    def ask_to_go_on(self, message: str) -> None:
        """Queue the rest of an upload for the intake function."""
        self._send(self.settings.upload_queue_url, message)

    def ask_to_submit(self) -> None:
        """Have groups looked at now. Without it, or where it fails, the next tick does that."""
        if not self.settings.submit_function:
            return
        try:
            self._lambda.invoke(
                FunctionName=self.settings.submit_function, InvocationType="Event", Payload=b"{}"
            )
        except (BotoCoreError, ClientError):
            self.log.exception("asking_to_submit_failed")

    def tell(self, event: str, /, **facts: object) -> None:
        """Say what happened: in the log, as metrics, and to whoever listens on the event bus."""
        self.log.info(event, **facts)
        self._measure(event, facts)
        if self.settings.event_bus and event in NOTICES:
            self._notify(event, facts)

    def _measure(self, event: str, facts: Mapping[str, object]) -> None:
        """A line of its own, which no log level holds back."""
        if self.settings.stack:
            line = metric_line(event, facts, stack=self.settings.stack, at=utc_now())
            if line is not None:
                sys.stdout.write(line.decode() + "\n")
                sys.stdout.flush()

    def _notify(self, event: str, facts: Mapping[str, object]) -> None:
        """A notice that fails stops nothing: what it tells of has happened."""
        try:
            taken = self._notices.tell(event, facts)
        except (BotoCoreError, ClientError):
            self.log.exception("notice_failed", notice=event)
            taken = False
        if not taken:
            self.tell("notice_failed", notice=event)

    def _send(self, queue_url: str, body: str) -> None:
        self._sqs.send_message(QueueUrl=queue_url, MessageBody=body)

    @cached_property
    def _sqs(self) -> Any:
        return boto3.client("sqs", config=_RETRIES)

    @cached_property
    def _lambda(self) -> Any:
        return boto3.client("lambda", config=_RETRIES)

    @cached_property
    def _notices(self) -> Notices:
        client = boto3.client("events", config=_RETRIES)
        return Notices(client, self.settings.event_bus, stack=self.settings.stack)

    def _read_key(self) -> str:
        if not self.settings.api_key_secret:
            return self.settings.api_key
        client = boto3.client("secretsmanager", config=_RETRIES)
        return read_key(client, self.settings.api_key_secret)


class JobRecipes:
    """A job's recipe: `_recipe.md` below it, or the built-in of its name; of its digests
    `_digest.md`.

    Made per invocation, and only what was found is kept: a recipe that is uploaded counts at once.
    """

    def __init__(self, documents: Blobs) -> None:
        self._documents = documents
        self._found: dict[JobName, Recipe] = {}

    def __call__(self, job: JobName) -> Recipe:
        """Raises NoRecipe with what to do about it."""
        if job not in self._found:
            found = self._read(job)
            if isinstance(found, Failure):
                raise NoRecipe(found)
            self._found[job] = found
        return self._found[job]

    def _read(self, job: JobName) -> Recipe | Failure:
        digested = digested_job(job)
        name = f"{job}/{RECIPE_NAME}" if digested is None else f"{digested}/{DIGEST_RECIPE}"
        try:
            text = self._beginning(name).decode("utf-8-sig")
        except BlobNotFound:
            builtin = builtin_recipes()
            if digested is not None:
                message = f"there is no recipe for digests of {digested!r}: put one at {name}"
                return Failure(type=RECIPE_MISSING, message=message, retryable=True)
            if job not in builtin:
                message = (
                    f"job {job!r} has no recipe: put one at {name}, or name the job like a "
                    f"built-in recipe ({', '.join(sorted(builtin))}); its documents wait until then"
                )
                return Failure(type=RECIPE_MISSING, message=message, retryable=True)
            name, text = job, builtin[job]
        except BlobUnreadable as error:
            return Failure(type="recipe_invalid", message=error.message, retryable=True)
        except UnicodeDecodeError:
            return Failure(type="recipe_invalid", message=f"{name} is not UTF-8 text")
        try:
            return parse_recipe(text, name=name, catalog=catalog(), guard=template_guard())
        except RecipeError as error:
            return Failure(type="recipe_invalid", message=str(error), retryable=True)

    def _beginning(self, name: str) -> bytes:
        """All of a recipe; of gigabytes no more than shows that they are none."""
        read = bytearray()
        for piece in self._documents.chunks(name):
            read += piece
            if len(read) > MAX_RECIPE_BYTES:
                raise BlobUnreadable(
                    f"{name} is longer than {MAX_RECIPE_BYTES:,} bytes, too long for a recipe"
                )
        return bytes(read)


@cache
def home() -> AwsHome:
    """The home of this process. Raises InvalidSettings with all that is missing."""
    return AwsHome(Settings.from_env(os.environ, required=REQUIRED))
