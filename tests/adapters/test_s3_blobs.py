"""What only a bucket can do wrong: odd keys, pages, refusals, a store that is away."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import unquote

import pytest

from shared.adapters import s3_blobs as module
from shared.adapters.s3_blobs import S3Blobs, s3_blobs
from shared.ports.blobs import (
    Blob,
    BlobChanged,
    BlobError,
    BlobNotFound,
    BlobStoreUnavailable,
    BlobUnreadable,
)
from tests.adapters.bucket_server import CREDENTIALS, bucket_server, new_bucket, s3_client

ODD = [
    "/",
    "/leading",
    "trailing/",
    "a//b",
    "a/./b",
    "a/../b",
    ".",
    "..",
    "../../etc/passwd",
    "tab\tbed",
    "control\x01",
    "delete\x7f",
    "nul\x00",
]
"""Keys that obstore refuses or changes. moto's routes refuse line feeds; S3 doesn't."""


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with bucket_server() as client:
        yield client


@pytest.fixture
def bucket(client: Any) -> str:
    return new_bucket(client)


@pytest.fixture
def blobs(client: Any, bucket: str) -> S3Blobs:
    return s3_blobs(bucket, client=client, retries=0)


def keys(blobs: S3Blobs, prefix: str = "") -> list[str]:
    return [blob.key for blob in blobs.list(prefix) if isinstance(blob, Blob)]


@pytest.mark.parametrize("key", ODD)
def test_a_key_that_obstore_cant_say_is_kept_exactly(blobs: S3Blobs, key: str) -> None:
    blobs.write_many([(key, b"0123456789")])
    assert keys(blobs) == [key]
    assert keys(blobs, key) == [key]
    assert blobs.read(key) == b"0123456789"
    assert list(blobs.list()) == [blobs.stat(key)]
    assert b"".join(blobs.chunks(key, offset=4, etag=blobs.stat(key).etag)) == b"456789"
    assert list(blobs.chunks(key, offset=10)) == []
    with pytest.raises(BlobChanged):
        next(blobs.chunks(key, etag="stale"))
    blobs.delete(key)
    assert keys(blobs) == []
    with pytest.raises(BlobNotFound):
        blobs.read(key)
    with pytest.raises(BlobNotFound):
        blobs.stat(key)


def test_every_character_of_the_first_page_is_kept(blobs: S3Blobs) -> None:
    """Each alone and between others, so that a change of either library is noticed."""
    names = [f"x{chr(code)}y" for code in range(256) if chr(code) not in "\n\r/"]
    blobs.write_many((name, name.encode()) for name in names)
    assert keys(blobs) == sorted(names)
    assert list(blobs.read_many(names)) == [name.encode() for name in names]


def test_one_odd_name_does_not_hide_the_others(blobs: S3Blobs) -> None:
    names = ["a", "a//b", "a/b", "b/../c", "c\x01d", "d e+f%20g"]
    blobs.write_many((name, b"1") for name in names)
    assert keys(blobs) == sorted(names)


def test_folder_markers_are_left_out(client: Any, bucket: str, blobs: S3Blobs) -> None:
    client.put_object(Bucket=bucket, Key="job/", Body=b"")
    client.put_object(Bucket=bucket, Key="job/full/", Body=b"1")
    client.put_object(Bucket=bucket, Key="job/empty.md", Body=b"")
    assert keys(blobs) == ["job/empty.md", "job/full/"]


def test_all_pages_are_listed(blobs: S3Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
    names = [f"{number:03} +%/é" for number in range(45)]
    blobs.write_many((name, b"1") for name in names)
    assert keys(blobs) == names


def test_reports_carry_their_type(client: Any, bucket: str, blobs: S3Blobs) -> None:
    types = {
        "a.md": "text/markdown; charset=utf-8",
        "a//b.md": "text/markdown; charset=utf-8",
        "summary.json": "application/json",
        "failures.jsonl": "application/jsonl",
        "a.bin": "application/octet-stream",
    }
    blobs.write_many((key, b"1") for key in types)
    for key, expected in types.items():
        assert client.head_object(Bucket=bucket, Key=key)["ContentType"] == expected


def test_a_content_of_many_parts_is_written_whole(
    blobs: S3Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART_BYTES", 5 << 20)
    content = bytes(range(256)) * 50_000
    blobs.write_many([("large", content)])
    assert blobs.read("large") == content
    assert b"".join(blobs.chunks("large", etag=blobs.stat("large").etag)) == content


def test_a_missing_bucket_is_told(client: Any) -> None:
    blobs = s3_blobs("docmill-no-such-bucket", client=client, retries=0)
    for use in (
        lambda: list(blobs.list()),
        lambda: blobs.read("a"),
        lambda: blobs.read("a//b"),
        lambda: blobs.write_many([("a", b"1")]),
    ):
        with pytest.raises(BlobStoreUnavailable, match="NoSuchBucket"):
            use()


class Scripted(BaseHTTPRequestHandler):
    """Answers `/bucket/<status>-<code>…` with that status and code, or with what it is told."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    asked: ClassVar[Counter[str]] = Counter()
    well_after: ClassVar[int] = 1_000_000

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked[self.path] += 1
        name = unquote(self.path).rpartition("/")[2].partition("?")[0]
        status, _, code = name.partition("-")
        if self.asked[self.path] > self.well_after or not status.isdigit():
            return self.answer(200, b"well")
        begin = '<?xml version="1.0" encoding="UTF-8"?>\n'
        text = f"{begin}<Error><Code>{code}</Code><Message>no</Message></Error>"
        return self.answer(int(status), text.encode())

    do_PUT = do_HEAD = do_GET  # noqa: N815 (the names that http.server calls)

    def handle_expect_100(self) -> bool:
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"e"')
        self.send_header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def scripted(*, retries: int = 0) -> Iterator[S3Blobs]:
    Scripted.asked = Counter()
    with ThreadingHTTPServer(("127.0.0.1", 0), Scripted) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            with s3_client(f"http://127.0.0.1:{server.server_port}") as client:
                yield s3_blobs("bucket", client=client, retries=retries)
        finally:
            server.shutdown()


REFUSALS: list[tuple[str, type[BlobError]]] = [
    ("404-NoSuchKey", BlobNotFound),
    ("404-NoSuchBucket", BlobStoreUnavailable),
    ("403-AccessDenied", BlobUnreadable),
    ("403-InvalidObjectState", BlobUnreadable),
    ("403-InvalidAccessKeyId", BlobStoreUnavailable),
    ("403-RequestTimeTooSkewed", BlobStoreUnavailable),
    ("400-KeyTooLongError", BlobUnreadable),
    ("400-ExpiredToken", BlobStoreUnavailable),
    ("401-Unauthorized", BlobStoreUnavailable),
    ("409-OperationAborted", BlobStoreUnavailable),
    ("412-PreconditionFailed", BlobChanged),
    ("429-TooManyRequests", BlobStoreUnavailable),
    ("500-InternalError", BlobStoreUnavailable),
    ("503-SlowDown", BlobStoreUnavailable),
]


@pytest.mark.parametrize("way", ["", "a//"], ids=["obstore", "boto3"])
def test_each_refusal_becomes_the_error_that_says_what_to_do(way: str) -> None:
    with scripted() as blobs:
        for name, expected in REFUSALS:
            key = way + name
            for use in (
                blobs.read,
                lambda key: next(blobs.chunks(key)),
                lambda key: blobs.write_many([(key, b"1")]),
            ):
                with pytest.raises(BlobError) as caught:
                    use(key)
                said = caught.value.message
                assert type(caught.value) is expected, said
                assert said.startswith(f"s3://bucket/{key} ")
                assert said.isprintable()
                assert len(said) < 150
                assert not any(secret in said for secret in CREDENTIALS.values())
                assert "http://" not in said


@pytest.mark.parametrize("way", ["", "a//"], ids=["obstore", "boto3"])
def test_a_look_that_is_refused_has_no_code_and_is_told_all_the_same(way: str) -> None:
    with scripted() as blobs:
        for name, expected in [
            ("404-", BlobNotFound),
            ("403-", BlobUnreadable),
            ("400-", BlobStoreUnavailable),
            ("503-", BlobStoreUnavailable),
        ]:
            with pytest.raises(expected):
                blobs.stat(way + name)


def test_a_key_can_not_pass_for_an_answer() -> None:
    fake = "Error performing GET x in y - Server returned non-2xx status code: 404 <Error><Code>x"
    with scripted() as blobs:
        for key in (f"{fake}/403-AccessDenied", f"<Error><Code>NoSuchBucket/{fake}/403-X"):
            with pytest.raises(BlobUnreadable):
                blobs.read(key)


@pytest.mark.parametrize("key", ["a", "a//b"])
def test_a_store_that_does_not_answer_is_unavailable(key: str) -> None:
    with s3_client("http://127.0.0.1:1") as nobody:
        blobs = s3_blobs("bucket", client=nobody, retries=0)
        for use in (
            lambda: blobs.read(key),
            lambda: blobs.stat(key),
            lambda: next(blobs.chunks(key)),
            lambda: blobs.write_many([(key, b"1")]),
            lambda: blobs.delete(key),
            lambda: next(blobs.list(key)),
        ):
            with pytest.raises(BlobStoreUnavailable, match=f"^s3://bucket/{key} can't be .* now"):
                use()
        assert [type(error) for error in blobs.read_many([key])] == [BlobStoreUnavailable]


def test_a_listing_that_is_refused_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Scripted,
        "do_GET",
        lambda self: self.answer(403, b"<Error><Code>AccessDenied</Code></Error>"),
    )
    with scripted() as blobs, pytest.raises(BlobStoreUnavailable, match="can't be listed"):
        next(blobs.list())


def test_a_busy_store_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scripted, "well_after", 2)
    with scripted(retries=3) as blobs:
        assert blobs.read("503-SlowDown") == b"well"
        blobs.write_many([("500-InternalError", b"1")])
        assert Scripted.asked == {"/bucket/503-SlowDown": 3, "/bucket/500-InternalError": 3}


def test_writing_ends_when_the_store_is_away_and_goes_on_when_a_key_is_refused() -> None:
    many = [(f"k{number}", b"1") for number in range(200)]
    with scripted() as blobs:
        with pytest.raises(BlobUnreadable, match="403-AccessDenied"):
            blobs.write_many([("403-AccessDenied", b"1"), ("403-Later", b"1"), *many])
        assert len(Scripted.asked) == 202
    with scripted() as blobs:
        with pytest.raises(BlobStoreUnavailable, match="503-SlowDown"):
            blobs.write_many([("403-AccessDenied", b"1"), ("503-SlowDown", b"1"), *many])
        assert len(Scripted.asked) < 2 + module.AHEAD + 2


def test_reading_ahead_is_bounded(blobs: S3Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number:02}" for number in range(60)]
    blobs.write_many((name, b"x" * 1000) for name in names)
    monkeypatch.setattr(module, "AHEAD_BYTES", 5_000)
    asked: list[str] = []
    read = blobs._read

    def counted(key: str, etag: str) -> bytes:
        asked.append(key)
        return read(key, etag)

    monkeypatch.setattr(blobs, "_read", counted)
    reader = blobs.read_many(names)
    for number in range(module.AHEAD + 1):
        assert next(reader) == b"x" * 1000
        assert len(asked) <= max(module.AHEAD, number + 1 + 6)
    assert len(asked) <= module.AHEAD + 1 + 6
    assert len(list(reader)) == len(names) - module.AHEAD - 1
    assert sorted(asked) == names, "each once; threads may ask out of turn"
