"""Archives made to do harm: refused, or each bad member its own failure, in bounded memory."""

import asyncio
import gzip
import io
import os
import random
import struct
import subprocess
import sys
import tarfile
import textwrap
import zlib
from pathlib import Path

import pytest

from shared.adapters.builtin import catalog
from shared.domain.document import DocumentStatus
from shared.domain.recipe import parse_recipe
from tests.app.home import RECIPE, Home
from tests.archives import KINDS, packed, recipe, tarred, zipped

NAMES = (
    *("../../escape.md", "/etc/passwd", "a/../../b.md", "C:\\x.md", "..\\..\\x.md", "a//b.md"),
    *("bell\x07.md", "\u202ecod.md", "x" * 300 + ".md", "failures.jsonl/x", "line\nbreak.md"),
)


def whole(home: Home) -> set[Path]:
    return {path for path in home.root.rglob("*") if path.is_file()}


def why(home: Home) -> dict[str, str]:
    documents = home.documents().items()
    return {path: d.failure.message for path, d in documents if d.failure is not None}


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_lead_out_are_failures_and_the_rest_is_reported(home: Home, kind: str) -> None:
    home.write(kind, packed(kind, {**dict.fromkeys(NAMES, "x"), "good.md": "fine"}))
    before = whole(home)
    home.see()
    asyncio.run(home.finish())
    assert home.statuses()[f"{kind}/good.md"] is DocumentStatus.REPORTED
    failed = {path: text for path, text in why(home).items() if path != f"{kind}/good.md"}
    ours = {d.path for d in home.documents().values() if d.failure is None}
    allowed = {f"{kind}/good.md", f"{kind}/failures.jsonl/x"}
    assert ours <= allowed
    assert len(failed) >= len(NAMES) - 1
    new = {path.relative_to(home.root) for path in whole(home) - before}
    assert {path for path in new if path.suffix == ".md"} == {
        Path("output", f"{p}.md") for p in ours
    }


@pytest.mark.parametrize("kind", KINDS)
def test_in_one_document_such_names_are_left_out(home: Home, kind: str) -> None:
    home.recipe = recipe("archives: document")
    home.write(kind, packed(kind, {**dict.fromkeys(NAMES, "x"), "good.md": "fine"}))
    home.see()
    asyncio.run(home.finish())
    assert home.statuses() == {kind: DocumentStatus.REPORTED}


def test_links_lead_nowhere(home: Home) -> None:
    (home.root / "secret").write_text("secret")
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, kind in (("soft.md", tarfile.SYMTYPE), ("hard.md", tarfile.LNKTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, str(home.root / "secret")
            archive.addfile(member)
        member = tarfile.TarInfo("soft.md/x.md")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    home.write("a.tgz", target.getvalue())
    home.see()
    assert set(home.documents()) == {"a.tgz/soft.md/x.md"}


def zeros(size: int) -> bytes:
    """A gzip stream of so many zeros, without holding them."""
    packing = zlib.compressobj(9, wbits=31)
    piece = b"\0" * (1 << 20)
    return b"".join([*(packing.compress(piece) for _ in range(size >> 20)), packing.flush()])


def big_member(size: int) -> bytes:
    header = tarfile.TarInfo("zeros.txt")
    header.size = size
    return header.tobuf(tarfile.GNU_FORMAT)


def test_a_tar_that_unpacks_to_a_thousand_times_its_size_is_refused(home: Home) -> None:
    home.write("a.tgz", gzip.compress(big_member(200 << 20)) + zeros(200 << 20))
    home.see()
    assert list(why(home).values()) == [
        "it unpacks to more than 300 times its size, as archives do that are made to do harm"
    ]


def test_a_zip_that_unpacks_to_a_thousand_times_its_size_is_refused(home: Home) -> None:
    home.write("a.zip", zipped({f"{n}.txt": b"\0" * (10 << 20) for n in range(8)}))
    home.see()
    assert list(why(home).values()) == [
        "it unpacks to more than 300 times its size, as archives do that are made to do harm"
    ]


def test_a_zip_whose_members_overlap_is_refused(home: Home) -> None:
    rng = random.Random(1)
    data = zipped({"a.txt": rng.randbytes(5000)}, stored=True)
    entry, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entries = b"".join(
        data[entry : entry + 46] + b"%05d" % n + data[entry + 51 : end] for n in range(100)
    )
    tail = bytearray(data[end:])
    tail[8:16] = struct.pack("<2HL", 100, 100, len(entries))
    home.write("a.zip", data[:entry] + entries + bytes(tail))
    home.see()
    assert list(why(home).values()) == [
        "its members overlap, as those do of archives made to do harm"
    ]


def test_a_zip_that_says_it_has_more_members_than_it_has_is_refused(home: Home) -> None:
    data = bytearray(zipped({"a.txt": "x"}))
    end = data.index(b"PK\5\6")
    data[end + 8 : end + 12] = b"\xff\xfe\xff\xfe"
    home.write("a.zip", bytes(data))
    home.see()
    assert list(home.documents()) == ["a.zip"]
    assert list(home.statuses().values()) == [DocumentStatus.FAILED]


def test_random_damage_is_a_failure_or_harmless(home: Home) -> None:
    rng = random.Random(3)
    files = {f"{n}/{n}.md": f"text {n} " * 20 for n in range(8)}
    for number in range(60):
        kind = rng.choice(KINDS)
        data = bytearray(packed(kind, files))
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        name = kind.replace("a.", f"{number}.", 1)
        home.write(name, bytes(data[: rng.choice((len(data), rng.randrange(len(data))))]))
    home.see()
    asyncio.run(home.finish())
    assert len({path.split("/")[0].split(":")[0] for path in home.documents()}) == 60
    ended = {DocumentStatus.REPORTED, DocumentStatus.FAILED}
    assert set(home.statuses().values()) <= ended
    for document in home.documents().values():
        if document.failure is not None:
            assert document.failure.message
            assert "\n" not in document.failure.message


def test_an_archive_of_very_many_members_takes_no_memory_for_them(tmp_path: Path) -> None:
    """In a process of its own, whose peak is its own. An object for each would take 30 MiB."""
    many = 30_000
    (tmp_path / "a.zip").write_bytes(zipped({f"src/{n}.py": f"print({n})" for n in range(many)}))
    (tmp_path / "a.tgz").write_bytes(tarred({f"src/{n}.py": f"print({n})" for n in range(many)}))
    script = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from shared.adapters.folder_blobs import FolderBlobs
        from shared.app import archive_sightings
        from shared.app.sightings import sightings_of

        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        blobs = FolderBlobs(Path(sys.argv[1]))
        before = peak()
        for blob in blobs.list():
            print(sum(1 for _ in sightings_of(blobs, blob, blob.key, recipe=None)))
        print(peak() - before)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path],
        capture_output=True,
        check=True,
        timeout=300,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    *counts, more = map(int, done.stdout.split())
    assert counts == [many, many]
    assert more < 15_000, "KiB"


@pytest.mark.parametrize("kind", ["a.zip", "a.tgz"])
def test_a_member_beyond_any_context_is_a_failure_and_is_not_read(home: Home, kind: str) -> None:
    whole = RECIPE.replace("---\n", "---\nsplit: never\n", 1)
    home.recipe = parse_recipe(whole, name="r.md", catalog=catalog())
    text = random.Random(5).randbytes(1 << 20).hex() * 11
    home.write(kind, packed(kind, {"large.txt": text, "small.txt": "x"}))
    home.see()
    asyncio.run(home.finish())
    assert home.statuses()[f"{kind}/small.txt"] is DocumentStatus.REPORTED
    failure = home.documents()[f"{kind}/large.txt"].failure
    assert failure is not None
    assert failure.type == "document_too_large"


def test_no_marker_of_source_code_is_needed_to_pass_over_what_is_hidden(home: Home) -> None:
    home.write("a.tgz", tarred({".git/config": "x", "a.md": "y"}))
    home.see()
    assert set(home.documents()) == {"a.tgz/a.md"}
