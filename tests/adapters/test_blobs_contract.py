"""What every place for blobs does alike."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.folder_blobs import FolderBlobs
from shared.adapters.s3_blobs import s3_blobs
from shared.ports.blobs import (
    Blob,
    BlobChanged,
    BlobError,
    BlobNotFound,
    Blobs,
    BlobUnreadable,
)
from tests.adapters.bucket_server import bucket_server, new_bucket

AWKWARD = [
    "plain.md",
    "with space.md",
    " leading and trailing ",
    'it\'s "quoted".md',
    "caf\u00e9.md",
    "cafe\u0301.md",
    "\u5951\u7d04\u66f8/\u7b2c1\u6761.md",
    "\U0001f4c4.md",
    "a%2Fb.md",
    "100%.md",
    "%2e%2e/x.md",
    "a+b.md",
    "a b+c%20d.md",
    "#1.md",
    "what?.md",
    "a&b=c;d.md",
    "dot.",
    "a/b...",
    "a/b../c..",
    "<b>{}^`|~[]*.md",
    "back\\slash.md",
    "sep\u2028arated\u00a0.md",
    "turned\u202e.md",
    "c1\x85.md",
    "last\uffff.md",
    "last\U0010ffff.md",
    "x" * 200,
    "/".join(["y" * 200] * 4),
    "deep/" * 60 + "d.md",
]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with bucket_server() as client:
        yield client


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "folder":
        return FolderBlobs(tmp_path / "root")
    client = request.getfixturevalue("client")
    return s3_blobs(new_bucket(client), client=client)


def keys(blobs: Blobs, prefix: str = "") -> list[str]:
    return [blob.key for blob in blobs.list(prefix) if isinstance(blob, Blob)]


def write(blobs: Blobs, *names: str) -> None:
    blobs.write_many((name, f"content of {name}".encode()) for name in names)


def test_awkward_names_are_kept_exactly(blobs: Blobs) -> None:
    write(blobs, *AWKWARD)
    assert keys(blobs) == sorted(AWKWARD)
    for name in AWKWARD:
        content = f"content of {name}".encode()
        assert blobs.read(name) == content
        assert blobs.stat(name).size == len(content)
        assert keys(blobs, name) == [name]
        assert b"".join(blobs.chunks(name, offset=3)) == content[3:]
    assert list(blobs.read_many(AWKWARD)) == [f"content of {name}".encode() for name in AWKWARD]
    for name in AWKWARD:
        blobs.delete(name)
    assert keys(blobs) == []


def test_a_new_place_is_empty(blobs: Blobs) -> None:
    assert list(blobs.list()) == []
    assert list(blobs.list("a/b/")) == []
    with pytest.raises(BlobNotFound):
        blobs.read("a")


def test_a_list_is_ordered_by_key_over_the_whole_tree(blobs: Blobs) -> None:
    names = ["a/b", "a.txt", "a b", "a/b.md", "a/b-x", "a0", "B", "b/z/1", "b/z.1", "é"]
    write(blobs, *names)
    assert keys(blobs) == sorted(names)
    assert keys(blobs)[:4] == ["B", "a b", "a.txt", "a/b"]


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("a", ["a.md", "a/b.md", "a/c/d.md", "ab/e.md"]),
        ("a/", ["a/b.md", "a/c/d.md"]),
        ("a/c", ["a/c/d.md"]),
        ("a/c/d.md", ["a/c/d.md"]),
        ("ab", ["ab/e.md"]),
        ("a/c/d.md/", []),
        ("nothing", []),
        ("nothing/at/all/", []),
        ("/", []),
        ("/a", []),
        ("../", []),
        ("a//", []),
        ("a/./", []),
        ("a\x00", []),
        ("\ud83d", []),
        ("\ud83d/", []),
        ("", ["a.md", "a/b.md", "a/c/d.md", "ab/e.md", "b/a.md"]),
    ],
)
def test_a_list_holds_what_begins_with_the_prefix(
    blobs: Blobs, prefix: str, found: list[str]
) -> None:
    write(blobs, "a.md", "a/b.md", "a/c/d.md", "ab/e.md", "b/a.md")
    assert keys(blobs, prefix) == found


def test_list_and_stat_tell_the_same(blobs: Blobs) -> None:
    write(blobs, "a.md", "b/c.md")
    blobs.write_many([("b/large", b"x" * 3_000_000), ("empty", b"")])
    listed = list(blobs.list())
    assert [blobs.stat(blob.key) for blob in listed if isinstance(blob, Blob)] == listed
    about = blobs.stat("b/large")
    assert about.size == 3_000_000
    assert about.modified.tzinfo is UTC
    assert abs(datetime.now(UTC) - about.modified) < timedelta(minutes=1)


def test_the_etag_differs_exactly_when_the_content_does(blobs: Blobs) -> None:
    blobs.write_many([("a", b"one"), ("b", b"two"), ("c", b"one")])
    first = blobs.stat("a").etag
    assert blobs.stat("c").etag == first != blobs.stat("b").etag
    blobs.write_many([("a", b"two")])
    assert blobs.stat("a").etag == blobs.stat("b").etag
    assert '"' not in first


def test_overwriting_replaces_the_whole(blobs: Blobs) -> None:
    blobs.write_many([("a/b", b"long " * 1000)])
    blobs.write_many([("a/b", b"short")])
    assert blobs.read("a/b") == b"short"
    blobs.write_many([("a/b", b"")])
    assert blobs.read("a/b") == b""
    assert blobs.stat("a/b").size == 0


def test_the_last_of_several_writes_of_one_key_wins(blobs: Blobs) -> None:
    blobs.write_many((f"k{number % 3}", str(number).encode()) for number in range(60))
    assert list(blobs.read_many(["k0", "k1", "k2"])) == [b"57", b"58", b"59"]


def test_many_are_written_and_read_in_order(blobs: Blobs) -> None:
    items = {f"{number % 7}/{number}.md": b"%d" % number * 100 for number in range(300)}
    blobs.write_many(items.items())
    assert list(blobs.read_many(list(items))) == list(items.values())
    assert list(blobs.read_many([])) == []


def test_reading_many_keeps_its_order_and_gives_errors_as_values(blobs: Blobs) -> None:
    write(blobs, "a", "b")
    found = list(blobs.read_many(["b", "nothing", "a", "x" * 2000, "a", ""]))
    assert [found[0], found[2], found[4]] == [b"content of b", b"content of a", b"content of a"]
    assert isinstance(found[1], BlobNotFound)
    assert isinstance(found[3], BlobNotFound)
    assert isinstance(found[5], BlobUnreadable)


def test_a_reader_may_leave_early(blobs: Blobs) -> None:
    write(blobs, *(f"{number}" for number in range(50)))
    reader = blobs.read_many([f"{number}" for number in range(50)])
    assert next(iter(reader)) == b"content of 0"
    del reader
    pieces = blobs.chunks("1")
    assert next(pieces)
    del pieces


def test_what_is_missing_is_not_found(blobs: Blobs) -> None:
    write(blobs, "a/b")
    for missing in ("c", "a", "a/c", "c/d", "a/b/c", "x" * 1025, "y" * 300):
        if missing == "a" and isinstance(blobs, FolderBlobs):
            continue  # a folder there is told as such
        for look in (blobs.stat, blobs.read, lambda key: list(blobs.chunks(key))):
            with pytest.raises(BlobNotFound) as caught:
                look(missing)
            assert missing in caught.value.message


def test_chunks_begin_at_the_offset(blobs: Blobs) -> None:
    content = bytes(range(256)) * 80_000  # 20 MB: several pieces
    blobs.write_many([("large", content), ("empty", b"")])
    etag = blobs.stat("large").etag
    for offset in (0, 1, 5_000_001, len(content) - 1, len(content), len(content) + 1):
        pieces = list(blobs.chunks("large", etag=etag, offset=offset))
        assert b"".join(pieces) == content[offset:]
        assert all(pieces)
    assert len(list(blobs.chunks("large"))) > 1
    assert list(blobs.chunks("empty")) == []
    assert list(blobs.chunks("empty", offset=7, etag=blobs.stat("empty").etag)) == []


def test_chunks_of_another_content_are_refused(blobs: Blobs) -> None:
    write(blobs, "a")
    stale = blobs.stat("a").etag
    blobs.write_many([("a", b"something else")])
    for offset in (0, 3, 500):
        with pytest.raises(BlobChanged, match="a has changed"):
            list(blobs.chunks("a", etag=stale, offset=offset))
    assert b"".join(blobs.chunks("a", etag=blobs.stat("a").etag)) == b"something else"


def test_pieces_of_two_versions_are_never_mixed(blobs: Blobs) -> None:
    blobs.write_many([("a", b"old" * 7_000_000)])
    for etag in (None, blobs.stat("a").etag):
        blobs.write_many([("a", b"old" * 7_000_000)])
        pieces = blobs.chunks("a", etag=etag)
        read = [next(pieces)]
        blobs.write_many([("a", b"new" * 7_000_000)])
        try:
            read.extend(pieces)
        except BlobChanged:
            continue
        assert b"".join(read) == b"old" * 7_000_000


def test_deleting_twice_is_deleting(blobs: Blobs) -> None:
    write(blobs, "a/b", "a/c")
    for _ in range(2):
        blobs.delete("a/b")
    for absent in ("nothing", "no/thing", "a/c/d", "x" * 2000):
        blobs.delete(absent)
    assert keys(blobs) == ["a/c"]


@pytest.mark.parametrize("key", ["", "half\ud83d"])
def test_a_key_that_is_no_name_is_refused(blobs: Blobs, key: str) -> None:
    def write_it(key: str) -> None:
        blobs.write_many([(key, b"")])

    for use in (blobs.stat, blobs.read, blobs.delete, write_it):
        with pytest.raises(BlobUnreadable) as caught:
            use(key)
        caught.value.message.encode()
        assert "\n" not in caught.value.message


def test_a_key_that_cant_be_written_does_not_stop_the_others(blobs: Blobs) -> None:
    items = [("a", b"1"), ("x" * 1025, b"2"), ("b", b"3"), ("", b"4"), ("c/d", b"5")]
    with pytest.raises(BlobUnreadable, match="xxx can't be written"):
        blobs.write_many(items)
    assert keys(blobs) == ["a", "b", "c/d"]


def test_items_are_taken_as_they_come_and_their_error_is_raised(blobs: Blobs) -> None:
    def items() -> Iterator[tuple[str, bytes]]:
        yield "a", b"1"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        blobs.write_many(items())
    assert keys(blobs) == ["a"]


def test_what_changed_since_its_etag_is_told_instead_of_read(blobs: Blobs) -> None:
    write(blobs, "a", "b", "odd/./c" if "s3" in blobs.shown("a") else "c")
    names = keys(blobs)
    etags = [blobs.stat(name).etag for name in names]
    contents = [blobs.read(name) for name in names]
    assert list(blobs.read_many(names, etags=etags)) == contents
    assert list(blobs.read_many(names, etags=[""] * 3)) == contents
    blobs.write_many([(names[1], b"changed")])
    found = list(blobs.read_many(names, etags=etags))
    assert [type(each) for each in found] == [bytes, BlobChanged, bytes]
    here, absent = blobs.read_many(["a", "nothing"], etags=[etags[0], "x"])
    assert here == contents[0]
    assert isinstance(absent, BlobNotFound)


@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_a_stream_is_written_whole(blobs: Blobs, count: int) -> None:
    piece = b"0123456789" * 100_000
    for _ in range(2):
        blobs.write_stream("a/failures.jsonl", (piece for _ in range(count)))
        assert blobs.read("a/failures.jsonl") == piece * count
    assert keys(blobs) == ["a/failures.jsonl"]


@pytest.mark.parametrize("count", [1, 40])
def test_a_stream_that_breaks_off_leaves_what_was_there(blobs: Blobs, count: int) -> None:
    def breaking() -> Iterator[bytes]:
        for _ in range(count):
            yield b"0123456789" * 100_000
        raise ZeroDivisionError

    write(blobs, "a/b")
    before = blobs.read("a/b")
    with pytest.raises(ZeroDivisionError):
        blobs.write_stream("a/b", breaking())
    assert blobs.read("a/b") == before
    assert keys(blobs) == ["a/b"]


@pytest.mark.parametrize("key", ["", "half\ud83d", "x" * 1025])
def test_a_stream_to_no_name_is_refused(blobs: Blobs, key: str) -> None:
    for pieces in ([b"1"], [b"1" * 9_000_000] * 3):
        with pytest.raises(BlobUnreadable):
            blobs.write_stream(key, pieces)


def test_errors_are_one_line(blobs: Blobs) -> None:
    found = [*blobs.read_many(["no\nthing", "no\x1b[31mthing", "no\u2028thing", "no\u202ething"])]
    for error in found:
        assert isinstance(error, BlobError)
        assert error.message.isprintable()


@pytest.mark.parametrize("key", [".hidden", "...", "a/.b/..c"])
def test_names_that_begin_with_a_dot_can_be_written_and_read(blobs: Blobs, key: str) -> None:
    blobs.write_many([(key, b"1")])
    assert blobs.read(key) == b"1"
    assert keys(blobs, key) == [key]


def test_nothing_is_in_the_way_of_a_key_that_is_free_or_to_be_replaced(blobs: Blobs) -> None:
    blobs.write_many([("a/b.md", b"1")])
    assert [blobs.obstacle(key) for key in ("a/b.md", "a/c.md", "new/deep/er/x.md")] == [None] * 3


def test_what_begins_otherwise_is_in_the_way(blobs: Blobs) -> None:
    blobs.write_many([("a/b.md", b"---\ndocument: 1"), ("a/c.md", b"my notes")])
    assert blobs.obstacle("a/b.md", ours=b"---\n") is None
    assert blobs.obstacle("a/d.md", ours=b"---\n") is None
    message = blobs.obstacle("a/c.md", ours=b"---\n")
    assert message is not None
    assert message.endswith("a/c.md is there, and not docmill's")
