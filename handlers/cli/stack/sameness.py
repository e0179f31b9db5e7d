"""Whether an object has the content of a file, by what S3 says of it.

The ETag is the content's MD5; of what went up in parts, the MD5 of the parts' MD5s, and their
number. Under a KMS key it says nothing: then the SHA-256 is asked for, which S3 keeps of what
docmill puts.
Where nothing tells, the content counts as another, and uploading it again changes nothing: docmill
knows documents by their content.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import md5, sha256
from typing import Any

from botocore.exceptions import ClientError

from shared.adapters.s3_blobs import PART_BYTES

_PART_SIZES = (PART_BYTES, 8 << 20, 5 << 20)
"""Docmill's, and those of the AWS command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """What a content's ETag may be, and its SHA-256 as S3 writes it."""

    etags: frozenset[str]
    sha256: str


def digests(pieces: Iterable[bytes], size: int) -> Digests:
    """Read a content of this size once."""
    whole, sha = md5(usedforsecurity=False), sha256()
    parts = [_Parts(each) for each in _PART_SIZES] if size > min(_PART_SIZES) else []
    for piece in pieces:
        whole.update(piece)
        sha.update(piece)
        for each in parts:
            each.update(piece)
    etags = {whole.hexdigest(), *(each.etag() for each in parts)}
    return Digests(etags=frozenset(etags), sha256=base64.b64encode(sha.digest()).decode())


class _Parts:
    def __init__(self, size: int) -> None:
        self._size = size
        self._done: list[bytes] = []
        self._open = md5(usedforsecurity=False)
        self._filled = 0

    def update(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            room = self._size - self._filled
            self._open.update(view[:room])
            self._filled += len(view[:room])
            view = view[room:]
            if self._filled == self._size:
                self._close()

    def etag(self) -> str:
        if self._filled:
            self._close()
        return f"{md5(b''.join(self._done), usedforsecurity=False).hexdigest()}-{len(self._done)}"

    def _close(self) -> None:
        self._done.append(self._open.digest())
        self._open, self._filled = md5(usedforsecurity=False), 0


def kept_sha256(s3: Any, bucket: str, key: str) -> str | None:
    """The SHA-256 that S3 keeps of an object, if it does."""
    try:
        found = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise
    kept: str | None = found.get("ChecksumSHA256")
    return kept
