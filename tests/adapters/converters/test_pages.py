"""Web pages, books, notebooks and mails."""

import json
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

from shared.domain.kinds import kind_of
from shared.ports.converter import Converted
from tests.adapters.converters import files

Convert = Callable[[str, bytes], Converted]


def test_a_page_is_its_text_without_what_nobody_reads(convert: Convert) -> None:
    page = """<!doctype html><html><head><title>Status</title><style>p{}</style></head><body>
    <script>alert(1)</script><!-- note --><h2>Now</h2><p>All <b>good</b> &amp; <a href="/x">fine</a>
    </p><ul><li>a<ul><li>b</li></ul></li></ul><img src="data:x" alt="A lamp"><img src=y>
    <table><tr><th colspan=2>Both</th></tr><tr><td rowspan=2>tall</td><td>1</td></tr>
    <tr><td><p>x</p><p>y|z</p></td></tr></table><iframe src=z></iframe></body></html>"""
    found = convert("status.html", page.encode())
    assert found.text == (
        "# Status\n\n## Now\n\nAll **good** & [fine](/x)\n\n- a\n  - b\n\n[Image: A lamp]\n\n"
        "| Both |  |\n| --- | --- |\n| tall | 1 |\n|  | x<br>y\\|z |\n"
    )
    assert found.losses == ("2 images left out", "1 embedded frame or object left out")


def test_what_a_page_hides_is_left_out_and_counted(convert: Convert) -> None:
    page = """<html><body style="display:none"><p>Due in May.</p><p hidden>one <b hidden>two</b></p>
    <p style="color: red; DISPLAY :none">three</p><div style="display:/* x */none !important">four
    </div><p style="visibility: hidden">five</p><p style="display:block">Seen.</p>
    <p style="--display:none">Shown.</p><input type="hidden" value="6"></body></html>"""
    found = convert("page.html", page.encode())
    assert found.text == "Due in May.\n\nSeen.\n\nShown.\n"
    assert found.losses == ("hidden text left out (20 characters)",)


def test_a_page_in_an_older_encoding_reads_well(convert: Convert) -> None:
    page = '<html><meta charset="windows-1251"><body><p>Договор оказания услуг</p></body></html>'
    assert convert("d.htm", page.encode("cp1251")).text == "Договор оказания услуг\n"


def test_exports_that_are_pages_and_sources_that_look_like_one_are_told_apart() -> None:
    page = b"<!DOCTYPE html>\n<html><body><table><tr><td>1</td></tr></table></body></html>"
    assert kind_of("export.xls", page) == "html"
    assert kind_of("page", page) == "html"
    for name in ("README.md", "page.vue", "index.php", "page.html.j2"):
        assert kind_of(name, page) is None


def test_a_book_is_its_chapters_in_order(convert: Convert) -> None:
    chapters = ["<h1>One</h1><p>First.</p><img src='x'/>", "<h1>Two</h1><p>כתב \U0001f4d6</p>"]
    found = convert("mill.epub", files.book(chapters))
    assert found.text == (
        "# The Mill\n\nBy A. Miller\n\n# One\n\nFirst.\n\n# Two\n\nכתב \U0001f4d6\n"
    )
    assert found.losses == ("1 image left out",)


def notebook(*cells: dict[str, Any]) -> bytes:
    about = {"language_info": {"name": "python"}}
    return json.dumps({"cells": cells, "metadata": about, "nbformat": 4}).encode()


def test_a_notebook_is_text_code_and_what_it_printed(convert: Convert) -> None:
    outputs = [
        {"output_type": "stream", "text": ["1\n", "2\n"]},
        {"output_type": "display_data", "data": {"image/png": "x", "text/plain": "<Figure>"}},
        {"output_type": "error", "traceback": ["\x1b[31mValueError\x1b[0m", "at 1"]},
        {"output_type": "stream", "text": "x" * 30_000},
    ]
    found = convert(
        "n.ipynb",
        notebook(
            {"cell_type": "markdown", "source": ["# Title\n", "Prose"]},
            {"cell_type": "code", "source": "print('```')", "outputs": outputs},
        ),
    )
    assert found.text.startswith(
        "# Title\nProse\n\n````python\nprint('```')\n````\n\nOutput:\n\n```\n1\n2\n```"
    )
    assert "```\nValueError\nat 1\n```" in found.text
    assert found.losses == ("1 image left out", "1 end of a long output left out")
    assert len(found.text) < 21_000


def test_half_a_character_in_a_notebook_can_still_be_sent(convert: Convert) -> None:
    data = notebook({"cell_type": "markdown", "source": "half \ud83d"})
    assert convert("n.ipynb", data).text == "half ?\n"


def test_a_mail_comes_with_what_is_attached_to_it(convert: Convert) -> None:
    data = files.mail(
        contract_pdf=("application/pdf", files.pdf("Clause 1")),
        photo_png=("image/png", files.image()),
        terms_docx=(
            "application/octet-stream",
            files.word(lambda document: document.add_heading("Terms", 1)),
        ),
        notes_txt=("text/plain", b"plain notes"),
        tool_exe=("application/octet-stream", b"MZ\x90\x00\x03\x00\x00"),
        bad_pdf=("application/pdf", b"%PDF-1.4 broken"),
    ).as_bytes()
    found = convert("mail.eml", data)
    assert found.text.startswith(
        "From: Ann Miller <ann@tidewater.example>\nTo: legal@docmill.example\n"
    )
    assert "Subject: Prüfung des Vertrags \U0001f4c4" in found.text
    assert "See attached." in found.text
    assert "## Attachment: terms.docx\n\n# Terms" in found.text
    assert "## Attachment: notes.txt\n\nplain notes" in found.text
    assert 'The document "contract.pdf" (PDF, 1 page) is attached' in found.text
    assert [each.media_type for each in found.attachments] == ["application/pdf", "image/png"]
    [loss] = found.losses
    assert loss.startswith("2 attachments left out: tool.exe (unsupported_type), bad.pdf (broken_")


def test_a_mail_of_html_alone_is_read_and_its_inline_images_are_said(convert: Convert) -> None:
    message = EmailMessage()
    message["From"] = "a@b.example"
    message.set_content("")
    message.add_alternative("<h1>Hi</h1><img src='cid:1'>", subtype="html")
    [_, html] = message.iter_parts()
    assert isinstance(html, EmailMessage)
    html.add_related(files.image(), "image", "png", cid="<1>")
    found = convert("mail.eml", message.as_bytes())
    assert found.text == "From: a@b.example\n\n# Hi\n"
    assert found.losses == ("1 image left out", "1 inline image left out")


def test_a_mail_within_a_mail_is_read_to_a_depth(convert: Convert) -> None:
    message = files.mail("innermost")
    for depth in range(40):
        outer = files.mail(f"level {depth}")
        outer.add_attachment(message)
        message = outer
    found = convert("mail.eml", message.as_bytes())
    assert found.text.count("level") == 4
    assert "innermost" not in found.text
    assert "## Attachment: Prüfung des Vertrags \U0001f4c4" in found.text.splitlines()
    assert "nested_too_deep" in found.losses[0]
