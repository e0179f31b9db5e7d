"""Blobs in a bucket. Its one rule: a key is said to S3 exactly as it is, or refused.

obstore does the work, at a tenth of boto3's CPU. It can't say every key (empty, `.` and `..`
segments, control characters; it drops a slash at either end without a word, and one such name fails
a whole listing), so boto3 says those, lists and deletes.

The role needs `s3:ListBucket`: without it S3 answers 403 where a key isn't there.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, timedelta
from itertools import chain
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import obstore
from botocore.exceptions import BotoCoreError, ClientError
from obstore.exceptions import BaseError
from obstore.store import S3Store

from shared.domain.names import escaped
from shared.ports.blobs import (
    Blob,
    BlobChanged,
    BlobError,
    BlobNotFound,
    BlobStoreUnavailable,
    BlobUnreadable,
    Unlisted,
    somebodys,
)

if TYPE_CHECKING:
    from obstore import GetOptions  # it has none at run time
    from obstore.store import S3CredentialProvider

T = TypeVar("T")

MAX_KEY_BYTES: Final = 1024
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""

CHUNK_BYTES: Final = 8 << 20
"""One ranged GET: none is open long enough to time out on a slow reader."""

PART_BYTES: Final = 16 << 20
"""Larger contents go up in parts of this size."""

THREADS: Final = 16

AHEAD: Final = 2 * THREADS
AHEAD_BYTES: Final = 64 << 20
"""How many contents, and bytes of them, are held at once beyond the one in use."""

_NOT_FOR_OBSTORE: Final = re.compile("(?:^|/)\\.{0,2}(?:/|\\Z)|[\x00-\x1f\x7f]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

_ANSWER: Final = re.compile(
    r"Error performing [A-Z]+ \S+ in \S+ - Server returned non-2xx status code: (\d{3})"
    r"[^<]*(?:<\?xml[^>]*>\s*)?(?:<Error>\s*<Code>(\w+))?"
)
"""obstore tells the status and S3's code in its text only."""

_CODES_OF_THE_STORE: Final = frozenset(
    {
        *("NoSuchBucket", "AuthorizationHeaderMalformed", "PermanentRedirect", "OperationAborted"),
        *("InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestTimeout"),
        *("ExpiredToken", "InvalidToken", "TokenRefreshRequired", "AccountProblem", "NotSignedUp"),
        *("SlowDown", "Throttling", "ThrottlingException", "KMS.ThrottlingException"),
    }
)
"""4xx answers that are about the bucket, the credentials or the pace, not about one key.
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""

_STATUSES_OF_THE_STORE: Final = frozenset({301, 307, 308, 401, 408, 409, 429})

_LIBRARY_ERRORS: Final = (BaseError, FileNotFoundError, ClientError, BotoCoreError)
"""obstore raises the built-in FileNotFoundError."""

_TYPES: Final = {
    ".md": "text/markdown; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".html": "text/html; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    data: bytes
    etag: str
    size: int
    """Of the whole blob."""


class _Speaker(Protocol):
    """One way to say a key to S3; raises the errors of its library."""

    def head(self, key: str) -> Blob: ...
    def get(self, key: str, etag: str = "") -> bytes: ...
    def get_piece(self, key: str, *, etag: str | None, start: int, end: int) -> _Piece: ...
    def put(self, key: str, data: bytes, content_type: str) -> None: ...


class _Obstore:
    def __init__(self, store: S3Store) -> None:
        self._store = store

    def head(self, key: str) -> Blob:
        meta = obstore.head(self._store, key)
        etag = _bare(meta["e_tag"])
        return Blob(key=key, size=meta["size"], etag=etag, modified=meta["last_modified"])

    def get(self, key: str, etag: str = "") -> bytes:
        options: GetOptions = {"if_match": f'"{etag}"'} if etag else {}
        return bytes(obstore.get(self._store, key, options=options).bytes())

    def get_piece(self, key: str, *, etag: str | None, start: int, end: int) -> _Piece:
        options: GetOptions = {"range": (start, end)}
        if etag is not None:
            options["if_match"] = f'"{etag}"'
        found = obstore.get(self._store, key, options=options)
        meta = found.meta
        return _Piece(data=bytes(found.bytes()), etag=_bare(meta["e_tag"]), size=meta["size"])

    def put(self, key: str, data: bytes, content_type: str) -> None:
        kind = {"Content-Type": content_type}
        obstore.put(self._store, key, data, attributes=kind, chunk_size=PART_BYTES)


class _Boto3:
    def __init__(self, bucket: str, client: Any) -> None:
        self._bucket = bucket
        self._client = client

    def head(self, key: str) -> Blob:
        found = self._client.head_object(Bucket=self._bucket, Key=key)
        return Blob(
            key=key,
            size=found["ContentLength"],
            etag=_bare(found["ETag"]),
            modified=found["LastModified"].astimezone(UTC),
        )

    def get(self, key: str, etag: str = "") -> bytes:
        match = {"IfMatch": f'"{etag}"'} if etag else {}
        with self._client.get_object(Bucket=self._bucket, Key=key, **match)["Body"] as body:
            return bytes(body.read())

    def get_piece(self, key: str, *, etag: str | None, start: int, end: int) -> _Piece:
        match = {} if etag is None else {"IfMatch": f'"{etag}"'}
        span = f"bytes={start}-{end - 1}"
        found = self._client.get_object(Bucket=self._bucket, Key=key, Range=span, **match)
        size = int(found["ContentRange"].rpartition("/")[2])
        with found["Body"] as body:
            return _Piece(data=bytes(body.read()), etag=_bare(found["ETag"]), size=size)

    def put(self, key: str, data: bytes, content_type: str) -> None:
        self._client.put_object(Bucket=self._bucket, Key=key, Body=data, ContentType=content_type)


class S3Blobs:
    """The objects of one bucket; `s3_blobs` makes one. May be shared between threads.

    Left out of `list`: the empty objects whose key ends in `/`, with which consoles mark folders.
    """

    def __init__(self, bucket: str, *, client: Any, store: S3Store) -> None:
        self._bucket = bucket
        self._client = client
        self._obstore = _Obstore(store)
        self._boto3 = _Boto3(bucket, client)

    def shown(self, key: str) -> str:
        """See `Blobs.shown`."""
        return escaped(f"s3://{self._bucket}/{key}")

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Blob | Unlisted]:
        """See `Blobs.list`. Raises BlobStoreUnavailable. S3 sorts by UTF-8, which is `str`'s order.

        botocore asks for URL-encoded keys, which XML could not hold otherwise, and decodes them.
        """
        if _SURROGATE.search(prefix):
            return
        paginator = self._client.get_paginator("list_objects_v2")
        try:
            for page in paginator.paginate(Bucket=self._bucket, Prefix=prefix, StartAfter=after):
                for found in page.get("Contents", ()):
                    if found["Size"] or not found["Key"].endswith("/"):
                        yield Blob(
                            key=found["Key"],
                            size=found["Size"],
                            etag=_bare(found["ETag"]),
                            modified=found["LastModified"].astimezone(UTC),
                        )
        except (ClientError, BotoCoreError) as error:
            fault = self._fault(error, prefix, "listed")
            raise BlobStoreUnavailable(fault.message) from error

    def stat(self, key: str) -> Blob:
        """See `Blobs.stat`."""
        speaker = self._speaker(key, "read")
        return self._asked(key, "read", lambda: speaker.head(key))

    def stat_many(self, keys: Sequence[str]) -> Sequence[Blob | BlobError]:
        """See `Blobs.stat_many`."""
        with ThreadPoolExecutor(THREADS, thread_name_prefix="s3-look") as pool:
            return list(pool.map(self._stat_or_error, keys))

    def _stat_or_error(self, key: str) -> Blob | BlobError:
        try:
            return self.stat(key)
        except BlobError as error:
            return error

    def exists(self, key: str) -> bool:
        """See `Blobs.exists`."""
        try:
            self.stat(key)
        except (BlobNotFound, BlobUnreadable):
            return False
        return True

    def obstacle(self, key: str, *, ours: bytes = b"") -> str | None:
        """See `Blobs.obstacle`: keys are no folders, so only a blob can be in the way."""
        return somebodys(self, key, ours) if ours and self.exists(key) else None

    def read(self, key: str) -> bytes:
        """See `Blobs.read`."""
        return self._read(key, "")

    def _read(self, key: str, etag: str) -> bytes:
        speaker = self._speaker(key, "read")
        return self._asked(key, "read", lambda: speaker.get(key, etag))

    def read_many(
        self, keys: Sequence[str], *, etags: Sequence[str] | None = None
    ) -> Iterator[bytes | BlobError]:
        """See `Blobs.read_many`; `AHEAD` and `AHEAD_BYTES` bound what is held.

        Sizes aren't known before: what is on its way counts as the largest seen so far.
        """
        waiting = zip(keys, etags or [""] * len(keys), strict=True)
        ahead: deque[Future[bytes | BlobError]] = deque()
        largest = 0
        with ThreadPoolExecutor(THREADS, thread_name_prefix="s3-read") as pool:
            try:
                while True:
                    while not ahead or (len(ahead) < AHEAD and _held(ahead, largest) < AHEAD_BYTES):
                        following = next(waiting, None)
                        if following is None:
                            break
                        ahead.append(pool.submit(self._read_or_error, *following))
                    if not ahead:
                        return
                    content = ahead.popleft().result()
                    largest = max(largest, _size(content))
                    yield content
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def chunks(self, key: str, *, etag: str | None = None, offset: int = 0) -> Iterator[bytes]:
        """See `Blobs.chunks`. Without an etag the first piece's holds: all are of one version."""
        speaker = self._speaker(key, "read")
        size = offset + 1
        while offset < size:
            span = range(offset, offset + CHUNK_BYTES)
            piece = self._piece(speaker, key, etag, span)
            if piece is None:
                return
            size, etag = piece.size, piece.etag
            offset += len(piece.data)
            yield piece.data

    def write_many(self, items: Iterable[tuple[str, bytes]]) -> None:
        """See `Blobs.write_many`: one request each, several at once; the last of one key wins.

        A key that can't be written doesn't stop the others: the first BlobUnreadable is raised
        after them. BlobStoreUnavailable ends the writing, once those on their way are done.
        """
        on_the_way: dict[str, tuple[int, Future[BlobError | None]]] = {}
        held = 0
        failed: BlobError | None = None
        with ThreadPoolExecutor(THREADS, thread_name_prefix="s3-write") as pool:
            for key, data in items:
                held += len(data)
                while on_the_way and (
                    key in on_the_way or len(on_the_way) >= AHEAD or held > AHEAD_BYTES
                ):
                    size, oldest = on_the_way.pop(next(iter(on_the_way)))
                    failed = _graver(failed, oldest.result())
                    held -= size
                if isinstance(failed, BlobStoreUnavailable):
                    break
                on_the_way[key] = len(data), pool.submit(self._write_or_error, key, data)
            for _, each in on_the_way.values():
                failed = _graver(failed, each.result())
        if failed is not None:
            raise failed

    def write_stream(self, key: str, pieces: Iterable[bytes]) -> None:
        """See `Blobs.write_stream`. More than a part goes up in parts, which become the blob, all
        at once, when the last is there; those of a process that died go by the bucket's rule."""
        parts = _parts(pieces, PART_BYTES)
        first = next(parts, b"")
        if len(first) < PART_BYTES:
            self.write_many([(key, first)])
            return
        self._speaker(key, "written")
        self._asked(key, "written", lambda: self._upload(key, chain((first,), parts)))

    def _upload(self, key: str, parts: Iterable[bytes]) -> None:
        place = {"Bucket": self._bucket, "Key": key}
        begun = self._client.create_multipart_upload(**place, ContentType=_content_type(key))
        place["UploadId"] = begun["UploadId"]
        try:
            done = [
                {
                    "PartNumber": number,
                    "ETag": self._client.upload_part(**place, PartNumber=number, Body=data)["ETag"],
                }
                for number, data in enumerate(parts, 1)
            ]
            self._client.complete_multipart_upload(**place, MultipartUpload={"Parts": done})
        except BaseException:
            with suppress(ClientError, BotoCoreError):
                self._client.abort_multipart_upload(**place)
            raise

    def delete(self, key: str) -> None:
        """See `Blobs.delete`. obstore deletes through XML, which can't hold every key."""
        delete = self._client.delete_object
        with suppress(BlobNotFound):
            self._speaker(key, "deleted")
            self._asked(key, "deleted", lambda: delete(Bucket=self._bucket, Key=key))

    def _speaker(self, key: str, done: str) -> _Speaker:
        if not key or _SURROGATE.search(key):
            raise BlobUnreadable(f"{self.shown(key)} can't be {done}: it is no name of an object")
        if len(key.encode()) > MAX_KEY_BYTES:
            if done == "written":
                reason = f"its name is longer than {MAX_KEY_BYTES} bytes"
                raise BlobUnreadable(f"{self.shown(key)} can't be written: {reason}")
            raise BlobNotFound(f"{self.shown(key)} isn't there")
        return self._boto3 if _NOT_FOR_OBSTORE.search(key) else self._obstore

    def _asked(self, key: str, done: str, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except _LIBRARY_ERRORS as error:
            raise self._fault(error, key, done) from error

    def _piece(self, speaker: _Speaker, key: str, etag: str | None, span: range) -> _Piece | None:
        """None where the blob ends before the span begins."""
        try:
            return speaker.get_piece(key, etag=etag, start=span.start, end=span.stop)
        except _LIBRARY_ERRORS as error:
            if _answer(error, key)[0] == 416:
                return None
            raise self._fault(error, key, "read") from error

    def _read_or_error(self, key: str, etag: str) -> bytes | BlobError:
        try:
            return self._read(key, etag)
        except BlobError as error:
            return error

    def _write_or_error(self, key: str, data: bytes) -> BlobError | None:
        try:
            speaker = self._speaker(key, "written")
            self._asked(key, "written", lambda: speaker.put(key, data, _content_type(key)))
        except BlobError as error:
            return error
        return None

    def _fault(self, error: Exception, key: str, done: str) -> BlobError:
        """The one place where errors of both libraries become ours; their texts stay behind."""
        status, code = _answer(error, key)
        shown = self.shown(key)
        if status == 412:
            return BlobChanged(f"{shown} has changed")
        if status is None:
            kind = f" ({type(error).__name__})" if isinstance(error, BotoCoreError) else ""
            return BlobStoreUnavailable(f"{shown} can't be {done} now: no answer from S3{kind}")
        reason = f"S3 answered {status} {code or ''}".rstrip()
        # A 400 without a code: a HEAD with an expired token, for one.
        general = status >= 500 or status in _STATUSES_OF_THE_STORE or (status == 400 and not code)
        if general or code in _CODES_OF_THE_STORE:
            return BlobStoreUnavailable(f"{shown} can't be {done} now: {reason}")
        if status == 404:
            return BlobNotFound(f"{shown} isn't there")
        return BlobUnreadable(f"{shown} can't be {done}: {reason}")


def s3_blobs(
    bucket: str,
    *,
    client: Any,
    endpoint: str | None = None,
    retries: int = 6,
    credentials: "S3CredentialProvider | None" = None,
) -> S3Blobs:
    """The bucket through boto3's `client` and the store of `obstore_of`."""
    store = obstore_of(
        bucket, client=client, endpoint=endpoint, retries=retries, credentials=credentials
    )
    return S3Blobs(bucket, client=client, store=store)


def obstore_of(
    bucket: str,
    *,
    client: Any,
    endpoint: str | None = None,
    retries: int = 6,
    credentials: "S3CredentialProvider | None" = None,
) -> S3Store:
    """An obstore of the same endpoint and region as boto3's `client`.

    obstore takes its credentials from the environment or the role (Lambda, ECS, EC2), never from
    `~/.aws`, unless `credentials` gives them: then a person puts documents there, and S3 keeps
    their SHA-256 too. It asks again `retries` times within a minute where S3 is busy or away.
    """
    where = endpoint or client.meta.endpoint_url
    return S3Store(
        bucket,
        endpoint=where,
        region=client.meta.region_name,
        config={} if credentials is None else {"checksum_algorithm": "SHA256"},
        credential_provider=credentials,
        client_options={
            "allow_http": where.startswith("http://"),
            "connect_timeout": timedelta(seconds=5),
            "read_timeout": timedelta(minutes=1),
            "timeout": timedelta(minutes=5),
        },
        retry_config={"max_retries": retries, "retry_timeout": timedelta(minutes=1)},
    )


def _answer(error: Exception, key: str) -> tuple[int | None, str | None]:
    """Status and code as S3 gave them, as far as it answered."""
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return status, code if re.fullmatch(r"[A-Za-z][\w.]*", code) else None
    if isinstance(error, BotoCoreError):
        return None, None
    # The text may begin with the key, which could look like an answer.
    found = _ANSWER.search(str(error).replace(f" {key}", "", 1))
    return (int(found[1]), found[2]) if found else (None, None)


def _content_type(key: str) -> str:
    return _TYPES.get(PurePosixPath(key).suffix, "application/octet-stream")


def _parts(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in parts of `size`; the last may be shorter, and is empty if nothing came."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        while len(buffer) >= size:
            yield bytes(buffer[:size])
            del buffer[:size]
    if buffer:
        yield bytes(buffer)


def _bare(etag: str | None) -> str:
    return (etag or "").strip('"')


def _size(content: bytes | BlobError) -> int:
    return len(content) if isinstance(content, bytes) else 0


def _held(ahead: Iterable[Future[bytes | BlobError]], largest: int) -> int:
    return sum(_size(each.result()) if each.done() else largest for each in ahead)


def _graver(one: BlobError | None, other: BlobError | None) -> BlobError | None:
    """The first, unless only the other says that not all was tried."""
    if one is None or isinstance(other, BlobStoreUnavailable):
        return other if not isinstance(one, BlobStoreUnavailable) else one
    return one
