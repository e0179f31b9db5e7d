"""Documents of every kind through the real command and the simulator."""

import json
from pathlib import Path

import yaml

from tests.adapters.converters import files
from tests.handlers.cli.command import Docmill, failures, reports, summary

QUICK = ("--poll-interval", "0.05", "--recipe", "project-analysis", "--simulate")


def fill(folder: Path) -> None:
    """Good documents of every kind, and bad ones."""
    folder.mkdir()
    good = {
        "contract.pdf": files.pdf("Clause 1", "Clause 2"),
        "open.pdf": files.locked_pdf(""),
        "scan.png": files.image(),
        "photo.jpg": files.image("JPEG", turned=6),
        "anim.gif": files.image("GIF", mode="P"),
        "web.webp": files.image("WEBP"),
        "letter.docx": files.word(lambda document: document.add_paragraph("שלום \U0001f4dc")),
        "review.pptx": files.slides(),
        "sums.xlsx": files.workbook(lambda book: book.active.append(["a", 1])),
        "page.html": b"<html><h1>Page</h1></html>",
        "book.epub": files.book(["<p>Chapter</p>"]),
        "note.ipynb": json.dumps(
            {"cells": [{"cell_type": "markdown", "source": "# N"}], "nbformat": 4}
        ).encode(),
        "mail.eml": files.mail("Hi", a_pdf=("application/pdf", files.pdf("x"))).as_bytes(),
        "plain.md": b"# Plain",
        "misnamed.txt": files.pdf("A PDF all the same"),
    }
    bad = {
        "locked.pdf": files.locked_pdf("secret"),
        "broken.pdf": b"%PDF-1.7 nothing",
        "bomb.docx": files.archive({f"word/{n}": b"" for n in range(20_001)}),
        "sources.docx": files.archive({"a.py": b"1"}),
        "empty.docx": b"",
    }
    for name, data in (good | bad).items():
        (folder / name).write_bytes(data)


def test_each_kind_is_reported_and_each_bad_one_says_why(tmp_path: Path, docmill: Docmill) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    fill(folder)
    done = docmill("run", folder, "--out", out, *QUICK)
    assert done.status == 1, done.err
    assert {each["path"]: each["type"] for each in failures(out)} == {
        "bomb.docx": "unpacks_too_large",
        "broken.pdf": "broken_document",
        "empty.docx": "empty_document",
        "locked.pdf": "encrypted",
        "sources.docx": "unsupported_type",
    }
    assert len(reports(out)) == 15
    assert summary(out)["documents"]["reported"] == 15
    head = yaml.safe_load((out / "review.pptx.md").read_text().split("---\n")[1])
    assert head["losses"] == ["1 image left out"]
    assert head["input_tokens"] > 0
    pdf = yaml.safe_load((out / "contract.pdf.md").read_text().split("---\n")[1])
    text = yaml.safe_load((out / "plain.md.md").read_text().split("---\n")[1])
    assert pdf["input_tokens"] - text["input_tokens"] > 2 * 1_600
    assert "losses" not in pdf

    again = docmill("run", folder, "--out", out, *QUICK)
    assert again.status == 1
    assert len(reports(out)) == 15


def test_a_check_shows_what_goes_along_and_what_is_lost(tmp_path: Path, docmill: Docmill) -> None:
    recipe = tmp_path / "r.md"
    recipe.write_text("---\nmodel: claude-opus-4-6\n---\nRead.\n\n{{ document.text }}\n")
    pdf, show = tmp_path / "a.pdf", tmp_path / "b.pptx"
    pdf.write_bytes(files.pdf("x"))
    show.write_bytes(files.slides())
    shown = docmill("recipes", "check", recipe, pdf)
    assert (shown.status, shown.err) == (0, "")
    assert "[document: application/pdf, " in shown.out
    assert "\n\nRead.\n" in shown.out
    assert "not in it: 1 image left out" in docmill("recipes", "check", recipe, show).out
    found = json.loads(docmill("recipes", "check", recipe, pdf, "--json").out)
    [document, _] = found["request"]["params"]["messages"][0]["content"]
    assert document["type"] == "document"
    assert found["at_most_usd"] is not None
