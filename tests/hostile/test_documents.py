"""Documents of any bytes: a report or a failure with its cause each, and none takes others along."""

# ruff: noqa: E501 - tables of odd texts

import asyncio
import json
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.adapters.builtin import catalog
from shared.domain.document import DocumentStatus
from shared.domain.kinds import kind_of
from shared.domain.manifest import ManifestKind, rows
from shared.domain.recipe import parse_recipe
from shared.domain.text import Unreadable, decode
from tests.app.home import RECIPE, Home

WORDS = "The quick brown fox jumps over the lazy dog. "
UNICODE = "Zażółć gęślą jaźń 文档 שלום \u202eabc\u202c \u200b\u200d\ufeff🎉👩‍💻 \u0301\u0301\u0301"
ODD_TEXTS = (
    *("\u202e" * 100, "\u200b" * 100, "\ufeff", "\u2028\u2029", "a\u0301" * 1000, "\U0010ffff"),
    *(
        "{{ document.text }}{% raw %}",
        "</data-0123456789abcdef>",
        "---\nmodel: x\n---\n",
        "\x1b[2J",
    ),
    *("\r\n" * 500 + "x", "\x0b\x0c x", "\x7f\x80\x9f", "<script>", "' OR 1=1 --", "=cmd|'/c'!A1"),
)
CODECS = (
    *("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-7"),
    *(
        "cp1252",
        "cp1251",
        "shift_jis",
        "euc_kr",
        "gb18030",
        "big5",
        "iso2022_jp",
        "cp037",
        "koi8_r",
    ),
)
MAGIC = (
    *(b"%PDF-1.7", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\x1f\x8b", b"\x7fELF"),
    *(b"GIF89a", b"MZ", b"BM", b"RIFF....WEBP", b"\x00asm", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
)


def corpus() -> dict[str, bytes]:
    """Some two hundred documents, made here: no large files in the repository."""
    rng = random.Random(7)
    found = {
        "zero": b"",
        "blank": b" \n\t\r\n" * 100,
        "NUL": b"\0",
        "NULs": b"\0" * 10_000,
        "NUL in text": b"text\0text",
        "half a character": b"text \xed\xa0\x80 text",
        "both halves": b"text \xed\xa0\xbd\xed\xb8\x80 text",
        "overlong": b"text \xc0\xaf text",
        "beyond Unicode": b"text \xf4\x90\x80\x80 text",
        "half in UTF-16": "﻿text ".encode("utf-16-le") + b"\x00\xd8" + "text".encode("utf-16-le"),
        "odd UTF-16": b"\xff\xfea\x00b",
        "BOM alone": b"\xff\xfe",
        "two BOMs": b"\xef\xbb\xbf\xef\xbb\xbftext",
        "one line": b"x" * 1_000_000,
        "deep": b"[" * 100_000,
        "ends in a character": WORDS.encode() + "é".encode()[:1],
    }
    for number, text in enumerate((WORDS * 20, UNICODE * 20, *ODD_TEXTS)):
        for codec in CODECS:
            try:
                found[f"{number} in {codec}"] = text.encode(codec)
            except UnicodeEncodeError:
                continue
    for number, magic in enumerate(MAGIC):
        found[f"magic {number}"] = magic + rng.randbytes(500)
        found[f"magic {number} text"] = magic + WORDS.encode()
    for size in (1, 2, 3, 7, 100, 5_000):
        found |= {f"noise {size}.{n}": rng.randbytes(size) for n in range(5)}
    return found


def why_not(data: bytes) -> tuple[str, str] | None:
    try:
        decode(data)
    except Unreadable as error:
        return error.type, error.message
    return None


def test_every_document_of_the_corpus_is_reported_or_fails_with_its_cause(home: Home) -> None:
    documents = corpus()
    # By name too: the same text in two encodings is one request otherwise.
    text = RECIPE.replace("{{ document.text }}", "{{ document.path }}\n{{ document.text }}")
    home.recipe = parse_recipe(text, name="r.md", catalog=catalog())
    for name, data in documents.items():
        home.write(f"{name}.txt", data)
    home.see()
    asyncio.run(home.finish())
    found = home.documents()
    assert set(found) == {f"{name}.txt" for name in documents}
    for name, data in documents.items():
        document = found[f"{name}.txt"]
        cause = why_not(data)
        if cause is None:
            assert document.status is DocumentStatus.REPORTED, name
        else:
            assert document.failure is not None, name
            if kind_of(f"{name}.txt", data) is None:
                assert (document.failure.type, document.failure.message) == cause
            else:  # the converter of its kind says what is wrong with it
                assert document.failure.type in ("broken_document", "unsupported_type"), name
            assert document.failure.message.isprintable()
    assert home.requested() == sum(d.status is DocumentStatus.REPORTED for d in found.values())
    assert 150 < home.requested() < len(documents)


@given(st.lists(st.binary(max_size=60) | st.text(max_size=60).map(str.encode), max_size=8))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_keep_a_good_document_from_its_report(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]
) -> None:
    home = Home(tmp_path_factory.mktemp("home"))
    try:
        home.write("good.md", "a good document")
        for number, data in enumerate(contents):
            home.write(f"{number}.md", data)
            home.write(f"{number}.jsonl", data)
        home.see()
        asyncio.run(home.finish())
        found = home.documents()
        assert found["good.md"].status is DocumentStatus.REPORTED
        assert {f"{number}.md" for number in range(len(contents))} <= set(found)
        for document in found.values():
            assert (document.status is DocumentStatus.FAILED) == (document.failure is not None)
            assert document.status in (DocumentStatus.REPORTED, DocumentStatus.FAILED)
    finally:
        home.store.close()


def test_documents_of_70_mb_are_refused_and_the_others_go_on(home: Home) -> None:
    (home.root / "input" / "text.md").write_bytes(b"word word\n" * 7_000_000)
    with Path(home.root / "input" / "hole.md").open("wb") as file:
        file.truncate(50_000_000)
    home.write("rows.jsonl", json.dumps({"id": "big", "text": "x" * 50_000_000}))
    home.write("good.md", "a good document")
    home.see()
    asyncio.run(home.finish())
    causes = {path: d.failure and d.failure.type for path, d in home.documents().items()}
    assert causes == {
        "good.md": None,
        "hole.md": "unsupported_type",
        "rows.jsonl:1": "row_too_large",
        "text.md": "document_too_large",
    }


HOSTILE_ROWS = (
    *(b'{"id":"a"}', b'{"id":"a","id":"b"}', b'{"id":null}', b'{"id":[]}', b'{"id":1e400}', b"[]"),
    *(b'{"id":"a\\u0000b"}', b'{"id":"\\ud800"}', b'{"id":"../x"}', b"[" * 5_000, b'{"a":' * 5_000),
    *(b'{"id":"x","n":' + b"9" * 5_000 + b"}", b"\xff\xfe", b"\x00", b'{"id":"q","__class__":1}'),
    *(b'{"id":"r","document":1,"columns":2,"self":3,"":4}', b'{"id":true}', b'{"id":-0}', b"null"),
)


@pytest.mark.parametrize("kind", [k for k in ManifestKind if k is not ManifestKind.PARQUET])
def test_hostile_rows_are_rows_or_named_faults_and_the_good_ones_go_on(kind: ManifestKind) -> None:
    good = {
        ManifestKind.JSONL: b'{"id":"good"}',
        ManifestKind.JSON: b'{"id":"good"}',
        ManifestKind.CSV: b"good,x",
    }[kind]
    for row in HOSTILE_ROWS:
        content = {
            ManifestKind.JSONL: b"\n".join([good, row, good]),
            ManifestKind.JSON: b"[" + b",".join([good, row]) + b"]",
            ManifestKind.CSV: b"id,text\n" + b"\n".join([good, row, good]),
        }[kind]
        found = list(rows(kind, [content]))
        assert getattr(found[0], "id", None) == "good", row
        for fault in found:
            message = getattr(fault, "message", "")
            assert len(message.splitlines()) <= 1
            assert len(message) < 1_000


def test_hostile_columns_become_requests_or_failures_of_their_own(home: Home) -> None:
    hostile = {"id": "r", "document": 1, "columns": {"a": [1]}, "self": "{{ x }}", "a b": None}
    home.write("a.jsonl", b"\n".join([*HOSTILE_ROWS, json.dumps(hostile | {"id": "s"}).encode()]))
    home.write("b.manifest.csv", b'id,"a\nb",c\nx,"=1\x00",\xff\ny,1,2\nz,"')
    home.write("c.manifest.json", b'[{"id":"in an array","text":"x"}, {"id":')
    home.see()
    asyncio.run(home.finish())
    statuses = home.statuses()
    assert set(statuses.values()) <= {DocumentStatus.REPORTED, DocumentStatus.FAILED}
    for name in ("a", "q", "r", "s", "y", "in an array"):
        assert statuses[name] is DocumentStatus.REPORTED, name
