"""`docmill backfill`: what lies in a bucket already is fed to a stack; nothing comes through here.

From another place it is copied by S3 itself. What lies where it belongs, in the stack's input
bucket below its job, is named to intake by messages like S3's own. Both go by two listings in
order, side by side, so a run that was killed leaves nothing behind but the work that is left.
"""

import json
import re
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import click
from botocore.exceptions import ClientError

from handlers.cli.faults import Fault
from handlers.cli.process import on_leaving
from handlers.cli.stack.listing import beside
from handlers.cli.stack.opened import filled_job, opened
from handlers.cli.stack.transfer import Faults, Meter, meter, size, tell
from handlers.cli.wording import counted
from shared.adapters.builtin import builtin_recipes
from shared.app.sightings import RECIPE_NAME, is_document
from shared.domain.document import Document
from shared.domain.ids import JobName
from shared.domain.names import InvalidName, check_path, escaped
from shared.ports.blobs import Blob, Unlisted
from shared.wiring.stack import CALLS, Stack

_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", re.DOTALL)
_COPY_LIMIT = 5_000_000_000
"""Bytes that one CopyObject takes; more goes in parts."""

_KEYS_A_MESSAGE = 20
"""A faulty one brings these back with it, so not too many."""

_MESSAGES_A_CALL = 10
_AHEAD = 4 * CALLS


@dataclass(slots=True)
class _Fed:
    sent: int = 0
    bytes: int = 0
    there: int = 0
    passed_over: int = 0
    left_out: Faults = field(default_factory=Faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """An object, and the path it gets below its job."""

    blob: Blob
    path: str


def backfill(source: str, *, stack: str, job: str, group: str | None, as_json: bool) -> int:
    """Feed what isn't known yet; 1 where a name can't be used or an object could not be copied."""
    target = filled_job(job)
    matched = _ADDRESS.fullmatch(source)
    if matched is None:
        raise Fault(f"{escaped(source)} is no address such as s3://BUCKET/PREFIX")
    bucket, prefix = matched[1], matched[2] or ""
    prefix = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    done = _Fed()
    on_leaving("what was fed stays so, and the same command goes on from there")
    with opened(stack) as found:
        work = _Backfill(found, bucket=bucket, prefix=prefix, job=target, group=group, done=done)
        with meter("feeding", total=None, as_json=as_json) as shown:
            if work.in_place:
                work.announce(shown)
            else:
                work.copy(shown)
        bare = target not in builtin_recipes()
        held = bare and not found.documents.exists(f"{target}/{RECIPE_NAME}")
    if not done.sent + done.there + done.left_out.count:
        raise Fault(f"no documents below s3://{bucket}/{escaped(prefix)}")
    how = "named to intake" if work.in_place else f"copied ({size(done.bytes)})"
    tell(
        f"{counted(done.sent, 'object')} {how}, {done.there:,} known already"
        + (
            f", {done.passed_over:,} passed over (markers, recipes, hidden)"
            if done.passed_over
            else ""
        ),
        event="backfilled",
        facts={
            "stack": stack,
            "job": target,
            "source": source,
            "in_place": work.in_place,
            "sent": done.sent,
            "bytes": done.bytes,
            "there": done.there,
            "passed_over": done.passed_over,
            "left_out": done.left_out.count,
            "recipe_missing": held,
        },
        as_json=as_json,
    )
    done.left_out.show()
    if held:
        message = f"job {target} has no recipe: its documents wait until `docmill drop --recipe`"
        click.echo(f"docmill: {escaped(message)}", err=True)
    return 1 if done.left_out.count else 0


class _Backfill:
    def __init__(
        self,
        stack: Stack,
        *,
        bucket: str,
        prefix: str,
        job: JobName,
        group: str | None,
        done: _Fed,
    ) -> None:
        self._stack = stack
        self._bucket = bucket
        self._prefix = prefix
        self._job = job
        self._done = done
        self.in_place = bucket == stack.outputs.input_bucket and prefix.startswith(f"{job}/")
        if self.in_place and group is not None:
            raise Fault("--group is for copies: what lies below its job already stays where it is")
        self._below = f"{group}/" if group else ""
        if self.in_place:
            self._below = prefix.removeprefix(f"{job}/")
        elif bucket == stack.outputs.input_bucket and f"{job}/{self._below}".startswith(prefix):
            raise Fault(
                f"the job {job} lies below s3://{bucket}/{prefix}, so copies would be copied "
                "again; name a folder beside it"
            )

    def copy(self, shown: Meter) -> None:
        """Have S3 copy what isn't there yet, some objects at a time."""
        pairs = beside(
            self._items(self._stack.bucket(self._bucket)),
            self._stack.documents,
            key=self._key,
            first=f"{self._job}/{self._below}",
            last=f"{self._job}/{self._below}\U0010ffff",
        )
        under_way: deque[tuple[_Item, Future[str | None]]] = deque()
        with ThreadPoolExecutor(CALLS, thread_name_prefix="s3-copy") as pool:
            try:
                for item, there in pairs:
                    if there is not None and _is_copy(there, item.blob):
                        self._done.there += 1
                        shown.advance(1)
                        continue
                    under_way.append((item, pool.submit(self._copy, item)))
                    if len(under_way) >= _AHEAD:
                        self._copied(*under_way.popleft(), shown)
                while under_way:
                    self._copied(*under_way.popleft(), shown)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def announce(self, shown: Meter) -> None:
        """Name to intake what the table doesn't know in this version."""
        known = self._stack.store.all_documents(self._job)
        wanted = self._unknown(self._items(self._stack.documents), known, shown)
        keys = (self._key(item) for item in wanted)
        messages = map(_message, _runs(keys, _KEYS_A_MESSAGE))
        for part in _runs(messages, _MESSAGES_A_CALL):
            entries = [{"Id": str(n), "MessageBody": body} for n, (body, _) in enumerate(part)]
            queue = self._stack.outputs.upload_queue
            answer = self._stack.sqs.send_message_batch(QueueUrl=queue, Entries=entries)
            if failed := answer.get("Failed"):
                raise Fault(
                    f"the upload queue took no message ({failed[0].get('Code')}); run the same "
                    "command again to go on"
                )
            count = sum(keys for _, keys in part)
            self._done.sent += count
            shown.advance(count)

    def _items(self, blobs: Any) -> Iterator[_Item]:
        for found in blobs.list(self._prefix):
            if isinstance(found, Unlisted):
                self._done.left_out.add(found.message)
                continue
            path = self._below + found.key.removeprefix(self._prefix)
            if not is_document(path):
                self._done.passed_over += 1
                continue
            try:
                check_path(path)
            except InvalidName as error:
                self._done.left_out.add(error.message)
                continue
            yield _Item(blob=found, path=path)

    def _key(self, item: _Item) -> str:
        return f"{self._job}/{item.path}"

    def _unknown(
        self, items: Iterator[_Item], known: Iterator[Document], shown: Meter
    ) -> Iterator[_Item]:
        document = next(known, None)
        for item in items:
            while document is not None and document.path < item.path:
                document = next(known, None)
            is_known = document is not None and document.path == item.path
            if is_known and document is not None and document.latest.etag == item.blob.etag:
                self._done.there += 1
                shown.advance(1)
            else:
                yield item

    def _copy(self, item: _Item) -> str | None:
        """Copy one object; the answer is what is wrong with it."""
        source = {"Bucket": self._bucket, "Key": item.blob.key}
        place = {"Bucket": self._stack.outputs.input_bucket, "Key": self._key(item)}
        try:
            if item.blob.size > _COPY_LIMIT:
                self._stack.s3.copy(source, **place)
            else:
                self._stack.s3.copy_object(
                    **place,
                    CopySource=source,
                    CopySourceIfMatch=f'"{item.blob.etag}"',
                    TaggingDirective="REPLACE",  # else a permission to read tags is needed
                )
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in {"NoSuchKey", "PreconditionFailed", "InvalidObjectState", "404", "412"}:
                return f"s3://{self._bucket}/{item.blob.key} can't be copied: S3 answered {code}"
            raise
        return None

    def _copied(self, item: _Item, copy: Future[str | None], shown: Meter) -> None:
        fault = copy.result()
        if fault is not None:
            self._done.left_out.add(fault)
            return
        self._done.sent += 1
        self._done.bytes += item.blob.size
        shown.advance(1, item.blob.size)


def _is_copy(there: Blob, source: Blob) -> bool:
    """A copy of what went up in parts has another ETag, but it was made after its source."""
    if there.size != source.size:
        return False
    return there.etag == source.etag or there.modified > source.modified


def _message(keys: Sequence[str]) -> tuple[str, int]:
    """What S3 would have sent, of these keys; and how many they are."""
    records = [
        {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": quote_plus(key, safe="/")}}}
        for key in keys
    ]
    return json.dumps({"Records": records}), len(keys)


def _runs(items: Iterator[Any], length: int) -> Iterator[list[Any]]:
    run: list[Any] = []
    for item in items:
        run.append(item)
        if len(run) == length:
            yield run
            run = []
    if run:
        yield run
