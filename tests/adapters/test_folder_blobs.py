"""What only a folder can do wrong: links, permissions, odd files, full disks, half writes."""

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from shared.adapters import folder_blobs
from shared.adapters.folder_blobs import TEMPORARY_PREFIX, FolderBlobs
from shared.ports.blobs import (
    Blob,
    BlobChanged,
    BlobNotFound,
    BlobStoreUnavailable,
    BlobUnreadable,
    Unlisted,
)

NOBODY = 65534


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def blobs(root: Path) -> FolderBlobs:
    return FolderBlobs(root)


def keys(blobs: FolderBlobs, prefix: str = "") -> list[str]:
    return [blob.key for blob in blobs.list(prefix) if isinstance(blob, Blob)]


def errors(blobs: FolderBlobs, prefix: str = "") -> list[Unlisted]:
    return [error for error in blobs.list(prefix) if isinstance(error, Unlisted)]


def refuses_to_write(blobs: FolderBlobs, key: str) -> str:
    with pytest.raises(BlobUnreadable) as caught:
        blobs.write_many([(key, b"1")])
    assert caught.value.message.isprintable()
    return caught.value.message


def everything_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def printed_by(code: str, *arguments: Path) -> str:
    imports = "import os, sys\nfrom pathlib import Path\nimport shared.adapters.folder_blobs as f\n"
    python = [sys.executable, "-W", "error", "-c", imports + code, *map(str, arguments)]
    return subprocess.run(python, check=True, capture_output=True, text=True, timeout=30).stdout


def open_descriptors() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def test_the_root_may_be_the_root_of_the_system(root: Path) -> None:
    (root / "a").mkdir()
    (root / "a" / "b.md").write_bytes(b"1")
    (root / "a" / "link.md").symlink_to(root / "a" / "b.md")
    blobs = FolderBlobs(Path("/"))
    key = f"{root}/a/b.md".removeprefix("/")
    assert keys(blobs, f"{root}/".removeprefix("/")) == [key, key.replace("b.md", "link.md")]
    assert blobs.read(key) == b"1"
    assert blobs.stat(key).size == 1
    with pytest.raises(BlobNotFound) as caught:
        blobs.read(key + "x")
    assert caught.value.message == f"{root}/a/b.mdx isn't there"


def test_hidden_names_are_left_out_unless_the_prefix_names_them(
    root: Path, blobs: FolderBlobs
) -> None:
    blobs.write_many((key, b"1") for key in (".a", "b/.c", "b/d", ".e/f", ".e/.g", ".e/h/i"))
    (root / f"{TEMPORARY_PREFIX}left-over").write_bytes(b"half")
    assert keys(blobs) == ["b/d"]
    assert keys(blobs, ".e/") == [".e/f", ".e/h/i"]
    assert keys(blobs, ".") == [".a", ".e/f", ".e/h/i"]


def test_what_is_ignored_is_left_out_with_all_below(root: Path) -> None:
    FolderBlobs(root).write_many((key, b"1") for key in ("a/out/x", "a/outer", "b", "c/d", "out/y"))
    assert keys(FolderBlobs(root, ignore=["a/out", "b", "nothing"])) == ["a/outer", "c/d", "out/y"]


def test_a_touched_file_keeps_its_etag(root: Path, blobs: FolderBlobs) -> None:
    blobs.write_many([("a", b"1"), ("large", b"1" * 2_000_000)])
    before = [blobs.stat(key) for key in ("a", "large")]
    for key in ("a", "large"):
        os.utime(root / key, (1, 1))
    after = [blobs.stat(key) for key in ("a", "large")]
    assert [blob.etag for blob in after] == [blob.etag for blob in before]
    assert [blob.modified.year for blob in after] == [1970, 1970]


def test_a_tree_deeper_than_the_recursion_limit_is_walked(root: Path, blobs: FolderBlobs) -> None:
    depth = 1_500  # two bytes each: below what a path may be long
    blobs.write_many([("d/" * depth + "a.md", b"1")])
    assert [key.count("/") for key in keys(blobs)] == [depth]
    subprocess.run(["rm", "-r", root / "d"], check=True)  # pytest can't: shutil recurses


_DEEP = """
import os
for _ in range(25):
    os.mkdir("d" * 200)
    os.chdir("d" * 200)
    open("f.md", "w").close()
"""


def test_a_folder_too_deep_for_the_system_is_told_not_lost(root: Path, blobs: FolderBlobs) -> None:
    root.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-c", _DEEP], cwd=root, check=True)
    found = len(keys(blobs))
    [error] = errors(blobs)
    subprocess.run(["rm", "-r", root / ("d" * 200)], check=True)
    assert 15 < found < 25
    assert error.key.endswith("d/")
    assert error.message.endswith("d/ can't be read: its path is too long")


def test_a_path_too_long_for_the_system_is_told(blobs: FolderBlobs) -> None:
    assert "file name too long" in refuses_to_write(blobs, "x" * 256)
    assert "file name too long" in refuses_to_write(blobs, "d/" * 3_000 + "x")


def test_a_link_to_a_file_inside_is_read(root: Path, blobs: FolderBlobs) -> None:
    blobs.write_many([("a/b.md", b"1")])
    (root / "link.md").symlink_to("a/b.md")
    assert keys(blobs) == ["a/b.md", "link.md"]
    assert blobs.read("link.md") == b"1"
    assert blobs.stat("link.md").etag == blobs.stat("a/b.md").etag


def test_a_link_out_of_the_root_is_not_read(root: Path, blobs: FolderBlobs, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "root-too").mkdir()
    (tmp_path / "root-too" / "secret").write_bytes(b"secret")
    (root / "direct").symlink_to(tmp_path / "secret")
    (root / "dotted").symlink_to("../secret")
    (root / "hop").symlink_to("direct")
    (root / "beside").symlink_to(tmp_path / "root-too" / "secret")
    (root / "folder").symlink_to(tmp_path)
    assert keys(blobs) == []
    told = ["beside", "direct", "dotted", "folder", "hop"]
    assert [error.key for error in errors(blobs)] == told
    assert errors(blobs)[3].message == f"{root}/folder can't be read: a link out of {root}"
    assert errors(blobs)[0].message == f"{root}/beside can't be read: a link out of {root}"
    for key in ("direct", "dotted", "hop", "beside", "folder/secret"):
        with pytest.raises(BlobUnreadable, match="a link out of"):
            blobs.read(key)
    assert [error.message for error in errors(blobs, "folder/")] == [
        f"{root}/folder can't be read: a link out of {root}"
    ]


def test_links_may_lead_into_the_folders_they_are_kept_within(tmp_path: Path) -> None:
    for name in ("in/a.md", "more/b.md", "secret"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    for name, target in (("ok", "../more/b.md"), ("out", "../secret"), ("far", "/etc/hostname")):
        (tmp_path / "in" / name).symlink_to(target)
    blobs = FolderBlobs(Path("/"), within=[tmp_path / "in", tmp_path / "more"])
    prefix = f"{tmp_path}/in/".lstrip("/")
    assert [key.removeprefix(prefix) for key in keys(blobs, prefix)] == ["a.md", "ok"]
    assert [error.key.removeprefix(prefix) for error in errors(blobs, prefix)] == ["far", "out"]
    assert "a link out of" in errors(blobs, prefix)[0].message


def test_links_to_folders_are_not_walked_which_are_listed_in_their_places(
    root: Path, blobs: FolderBlobs
) -> None:
    blobs.write_many([("a/b", b"1")])
    (root / "a" / "loop").symlink_to(root)
    (root / "again").symlink_to("a")
    assert list(keys(blobs)) == ["a/b"]
    assert errors(blobs) == []
    assert keys(blobs, "again/") == ["again/b"]


def test_broken_links_are_told(root: Path, blobs: FolderBlobs) -> None:
    (root / "dangling").symlink_to("nothing")
    (root / "self").symlink_to("self")
    blobs.write_many([("z", b"1")])
    assert [error.key for error in errors(blobs)] == ["dangling", "self"]
    assert "a link to nothing" in errors(blobs)[0].message
    assert keys(blobs) == ["z"]


def test_writing_never_follows_a_link_out(root: Path, blobs: FolderBlobs, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"theirs")
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "file")
    (root / "dangling").symlink_to(outside / "new")
    for key in ("folder/file", "folder/new", "folder/deep/er/new"):
        assert "a link out of" in refuses_to_write(blobs, key)
    with pytest.raises(BlobUnreadable, match="a link out of"):
        blobs.delete("folder/file")
    blobs.write_many([("file", b"ours"), ("dangling", b"ours")])
    assert blobs.read("file") == blobs.read("dangling") == b"ours"
    assert everything_below(outside) == ["file"]
    assert (outside / "file").read_bytes() == b"theirs"


def test_deleting_a_link_leaves_its_target(root: Path, blobs: FolderBlobs, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"theirs")
    (root / "link").symlink_to(tmp_path / "file")
    blobs.delete("link")
    assert everything_below(root) == []
    assert (tmp_path / "file").exists()


LEADING_ELSEWHERE = (
    *("..", "../x", "a/../../x", "a/..", "/etc/x", "//x", "a//b", "a/", "/", ".", "./a", "a/./b"),
    *("nul\x00", "\x00", "line\n/../x", "caf\udce9"),
)


@pytest.mark.parametrize("key", LEADING_ELSEWHERE)
def test_a_key_that_could_lead_elsewhere_is_refused(
    root: Path, blobs: FolderBlobs, key: str, tmp_path: Path
) -> None:
    refuses_to_write(blobs, key)
    for use in (blobs.stat, blobs.read, blobs.delete, lambda key: next(blobs.chunks(key))):
        with pytest.raises(BlobUnreadable) as caught:
            use(key)
        assert caught.value.message.isprintable()
    assert everything_below(tmp_path) == ["root"]


def test_a_folder_is_no_file(root: Path, blobs: FolderBlobs) -> None:
    blobs.write_many([("a/b", b"1")])
    with pytest.raises(BlobUnreadable, match="root/a can't be read: it is a folder"):
        blobs.stat("a")
    assert "is a directory" in refuses_to_write(blobs, "a")
    refuses_to_write(blobs, "a/b/c")
    with pytest.raises(BlobUnreadable):
        blobs.delete("a")
    assert everything_below(root) == ["a", "a/b"]


def test_pipes_and_sockets_are_told_and_never_waited_for(
    root: Path, blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(root / "pipe")
    monkeypatch.chdir(root)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        (root / "link").symlink_to("pipe")
        assert keys(blobs) == []
        assert [error.message for error in errors(blobs)] == [
            f"{root}/{name} can't be read: it is not a regular file"
            for name in ("link", "pipe", "socket")
        ]
        for key in ("pipe", "socket", "link"):
            with pytest.raises(BlobUnreadable, match="not a regular file"):
                blobs.read(key)


def test_a_name_that_is_not_utf8_is_told_and_the_others_go_on(
    root: Path, blobs: FolderBlobs
) -> None:
    blobs.write_many([("a.md", b"1"), ("z.md", b"1")])
    (Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.md"))).write_bytes(b"1")
    (Path(os.fsdecode(os.fsencode(root) + b"/d\xff"))).mkdir()
    (Path(os.fsdecode(os.fsencode(root) + b"/d\xff/below"))).write_bytes(b"1")
    assert keys(blobs) == ["a.md", "z.md"]
    assert [error.message for error in errors(blobs)] == [
        f"{root}/caf\\udce9.md can't be read: its name isn't UTF-8; rename it",
        f"{root}/d\\udcff can't be read: its name isn't UTF-8; rename it",
    ]


def test_names_in_messages_stay_on_one_line(root: Path, blobs: FolderBlobs) -> None:
    (root / "a\n\x1b[31mb").symlink_to("nothing")
    assert errors(blobs)[0].message.startswith(f"{root}/a\\n\\x1b[31mb can't be read")


def test_what_may_not_be_read_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    root = Path("/tmp") / f"docmill-{tmp_path.name}-{os.getpid()}"
    root.mkdir(mode=0o755)
    try:
        for name in ("a.md", "locked.md", "shut/x.md", "z.md"):
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes(b"1")
        (root / "locked.md").chmod(0)
        (root / "shut").chmod(0)
        said = printed_by(
            f"if os.getuid() == 0: os.setgid({NOBODY}); os.setuid({NOBODY})\n"  # root reads all
            "b = f.FolderBlobs(Path(sys.argv[1]))\n"
            "for x in b.list(): print(getattr(x, 'message', x.key))\n"
            "for k in ('locked.md', 'shut/x.md', 'new.md' if os.getuid() == 65534 else 'shut/n'):\n"
            "    try: b.read(k) if 'n' != k[0] else b.write_many([(k, b'1')])\n"
            "    except f.BlobUnreadable as error: print(error)\n",
            root,
        )
        denied = [
            f"{root}/locked.md can't be read: permission denied",
            f"{root}/shut/ can't be read: permission denied",
            f"{root}/shut/x.md can't be read: permission denied",
        ]
        lines = said.splitlines()
        assert lines[:4] == ["a.md", denied[0], denied[1], "z.md"]
        assert lines[4:6] == [denied[0], denied[2]]
        assert lines[6].endswith("permission denied")
    finally:
        (root / "shut").chmod(0o755)
        for path in sorted(root.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        root.rmdir()


def test_what_vanishes_while_listing_is_left_out(root: Path, blobs: FolderBlobs) -> None:
    blobs.write_many((key, b"1") for key in ("a", "b", "c/d", "e"))
    walk = blobs.list()
    assert isinstance(first := next(iter(walk)), Blob)
    blobs.delete("b")
    blobs.delete("c/d")
    (root / "c").rmdir()
    assert [first.key, *(blob.key for blob in walk if isinstance(blob, Blob))] == ["a", "e"]


def test_a_large_settled_file_is_hashed_once(
    root: Path, blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = []
    digest = folder_blobs._digest

    def counted(file: int) -> str:
        hashed.append(file)
        return digest(file)

    monkeypatch.setattr(folder_blobs, "_digest", counted)
    monkeypatch.setattr(folder_blobs, "SETTLED_S", -60.0)
    blobs.write_many([("rows.csv", b"x" * 3_000_000)])
    etag = blobs.stat("rows.csv").etag
    for offset in range(0, 3_000_000, 500_000):
        assert b"".join(blobs.chunks("rows.csv", etag=etag, offset=offset))
    assert len(hashed) == 1
    blobs.write_many([("rows.csv", b"y" * 3_000_000)])
    with pytest.raises(BlobChanged):
        list(blobs.chunks("rows.csv", etag=etag))
    assert len(hashed) == 2


def test_a_large_file_that_may_still_change_is_hashed_each_time(
    root: Path, blobs: FolderBlobs
) -> None:
    path = root / "rows.csv"
    path.write_bytes(b"x" * 3_000_000)
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    etag = blobs.stat("rows.csv").etag
    with path.open("r+b") as file:
        file.write(b"y")
    os.utime(path, ns=times)
    assert blobs.stat("rows.csv").etag != etag


def test_few_digests_are_remembered(blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_blobs, "SETTLED_S", -60.0)
    monkeypatch.setattr(folder_blobs, "CHUNK_BYTES", 1)
    blobs.write_many((f"{number}", b"xx") for number in range(100))
    assert len(keys(blobs)) == 100
    assert len(blobs._digests) == folder_blobs.REMEMBERED_DIGESTS


def test_a_file_changed_in_place_while_it_is_read_is_told(root: Path, blobs: FolderBlobs) -> None:
    (root / "a").write_bytes(b"x" * 3_000_000)
    pieces = blobs.chunks("a", etag=blobs.stat("a").etag)
    next(pieces)
    with (root / "a").open("ab") as file:
        file.write(b"more")
    with pytest.raises(BlobChanged, match="was changed while it was read"):
        list(pieces)


def test_a_reader_keeps_the_version_it_began_with(blobs: FolderBlobs) -> None:
    blobs.write_many([("a", b"old" * 1_000_000)])
    pieces = blobs.chunks("a", etag=blobs.stat("a").etag)
    read = [next(pieces)]
    blobs.write_many([("a", b"new" * 1_000_000)])
    assert b"".join([*read, *pieces]) == b"old" * 1_000_000


def test_a_time_beyond_the_calendar_is_no_trouble(root: Path) -> None:
    (root / "a").write_bytes(b"1")
    status = list((root / "a").stat())
    status[8] = 10**15
    assert folder_blobs._moment(os.stat_result(status)).year == 1970


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "no room left on the disk of {root}"),
        (errno.EDQUOT, "the disk quota of {root} is used up"),
        (errno.EROFS, "the disk of {root} is read-only"),
        (errno.EIO, "the disk of {root} failed to write"),
        (errno.ESTALE, "{root}/a/1 can't be written: stale file handle"),
    ],
)
def test_a_full_or_failing_disk_ends_the_writing_and_leaves_nothing_behind(
    root: Path, blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    write = os.write

    def failing(descriptor: int, data: bytes) -> int:
        if bytes(data) == b"second":
            write(descriptor, b"se")
            raise OSError(number, os.strerror(number))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", failing)
    with pytest.raises(BlobStoreUnavailable) as caught:
        blobs.write_many([("a/0", b"first"), ("a/1", b"second"), ("a/2", b"third")])
    assert caught.value.message == message.format(root=root)
    assert everything_below(root) == ["a", "a/0"]


def test_a_limit_on_file_sizes_stops_the_writing_like_a_full_disk(
    root: Path, blobs: FolderBlobs
) -> None:
    said = printed_by(
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "b = f.FolderBlobs(Path(sys.argv[1]))\n"
        "b.write_many([('a', b'old')])\n"
        "try: b.write_many([('a', b'x' * 10_001), ('b', b'1')])\n"
        "except f.BlobStoreUnavailable as error: print(error)\n",
        root,
    )
    assert said == f"a limit on the size of files stops writing to {root}\n"
    assert blobs.read("a") == b"old"
    assert everything_below(root) == ["a"]


def test_a_write_is_seen_whole_or_not_at_all(root: Path, blobs: FolderBlobs) -> None:
    blobs.write_many([("a", b"old")])
    descriptor = os.open(root / "a", os.O_RDONLY)
    blobs.write_many([("a", b"new" * 1000)])
    assert os.read(descriptor, 100) == b"old"
    os.close(descriptor)
    assert everything_below(root) == ["a"]


def test_partial_writes_are_continued(blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    blobs.write_many([("a", bytes(range(100)))])
    assert blobs.read("a") == bytes(range(100))


def test_no_descriptor_is_left_open(root: Path, blobs: FolderBlobs) -> None:
    (root / "dangling").symlink_to("nothing")
    before = open_descriptors()
    for _ in range(20):
        blobs.write_many([("a", b"1" * 2_000_000)])
        list(blobs.list())
        next(blobs.chunks("a"))
        list(blobs.chunks("a", etag=blobs.stat("a").etag))
        list(blobs.read_many(["a", "nothing"]))
    assert open_descriptors() == before


@pytest.mark.parametrize("key", ["folder", "file/below", "file/far/below", "x" * 300])
def test_what_is_in_the_way_is_told_before_and_by_writing(
    root: Path, blobs: FolderBlobs, key: str
) -> None:
    (root / "folder").mkdir()
    (root / "file").write_text("mine")
    message = blobs.obstacle(key)
    assert message is not None
    with pytest.raises(BlobUnreadable, match="can't be written"):
        blobs.write_many([(key, b"x")])
    assert "can't be written" in message
    assert "\n" not in message
