"""Word, PowerPoint and Excel: what stays, and what is said of the rest."""

import io
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml.ns import qn
from openpyxl.comments import Comment

from shared.ports.converter import Converted
from tests.adapters.converters import files

Convert = Callable[[str, bytes], Converted]

_NOTES = (
    '<w:footnotes xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    '<w:footnote w:id="1"><w:p><w:r><w:t>Within 30 days.</w:t></w:r></w:p></w:footnote>'
    "</w:footnotes>"
)
_NOTES_TYPE = (
    b'<Override PartName="/word/footnotes.xml" ContentType="application/'
    b'vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"/></Types>'
)
_NOTES_LINK = (
    b'<Relationship Id="rIdNotes" Target="footnotes.xml" Type="http://schemas.openxmlformats.org/'
    b'officeDocument/2006/relationships/footnotes"/></Relationships>'
)


def contract(document: Any) -> None:
    document.add_heading("Services Agreement", 0)
    document.add_heading("1. Parties", 1)
    between = document.add_paragraph("Between ")
    between.add_run("Tidewater").bold = True
    between.add_run(" and خدمات المد \U0001f30a snake_case 2*3.")
    document.add_paragraph("notice", style="List Bullet")
    document.add_paragraph("term", style="List Number")
    table = document.add_table(3, 3)
    for row, texts in enumerate((("Fee", "A|B", "C"), ("tall", "one", "r1"), ("", "v", "r2"))):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    inner = table.cell(1, 1).add_table(2, 2)
    for place, text in enumerate(("i1", "i2", "i3", "i4")):
        inner.cell(place // 2, place % 2).text = text
    noted = document.add_paragraph("Payment is due.")
    document.add_comment(noted.runs, text="Is that usual?", author="Ann Miller", initials="AM")
    document.sections[0].header.paragraphs[0].text = "Draft of 24 November"
    document.add_picture(io.BytesIO(files.image()))


def with_footnote(data: bytes) -> bytes:
    mark = b'<w:r><w:footnoteReference w:id="1"/></w:r></w:p>'
    return files.changed(
        data,
        {
            "word/document.xml": lambda xml: xml.replace(
                b"Payment is due.</w:t></w:r>", b"Payment is due.</w:t></w:r>" + mark[:-6], 1
            ),
            "word/footnotes.xml": lambda _: _NOTES.encode(),
            "[Content_Types].xml": lambda xml: xml.replace(b"</Types>", _NOTES_TYPE),
            "word/_rels/document.xml.rels": lambda xml: xml.replace(
                b"</Relationships>", _NOTES_LINK
            ),
        },
    )


def test_a_word_document_keeps_what_a_reader_needs(convert: Convert) -> None:
    found = convert("contract.docx", with_footnote(files.word(contract)))
    lines = found.text.splitlines()
    assert lines[:3] == ["# Services Agreement", "", "# 1. Parties"]
    assert "Between **Tidewater** and خدمات المد \U0001f30a snake_case 2*3." in lines
    assert "- notice" in lines
    assert "1. term" in lines
    assert "| Fee | A\\|B | C |" in lines
    assert "| tall | one<br>i1 / i2<br>i3 / i4 | r1 |" in lines
    assert "|  | v | r2 |" in lines  # under what spans two rows
    assert "Payment is due.[^1][^comment-0]" in lines
    assert "[^1]: Within 30 days." in lines
    assert any(line.startswith("[^comment-0]:") and "Is that usual?" in line for line in lines)
    assert found.losses == ("1 image left out", "headers and footers of the pages left out")
    assert found.attachments == ()


def test_tracked_changes_equations_macros_and_objects_are_said(convert: Convert) -> None:
    marks = (
        b'<w:p><w:ins w:id="1" w:author="A"><w:r><w:t>new words</w:t></w:r></w:ins>'
        b'<w:del w:id="2" w:author="A"><w:r><w:delText>old words</w:delText></w:r></w:del>'
        b'<m:oMath xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"/></w:p>'
    )
    data = files.changed(
        files.word(lambda document: document.add_paragraph("Text")),
        {
            "word/document.xml": lambda xml: xml.replace(b"<w:body>", b"<w:body>" + marks, 1),
            "word/vbaProject.bin": lambda _: b"macro",
            "word/charts/chart1.xml": lambda _: b"<c/>",
            "word/embeddings/oleObject1.bin": lambda _: b"object",
        },
    )
    found = convert("macro.docm", data)
    assert "new words" in found.text
    assert "old words" not in found.text
    assert found.losses == (
        "tracked changes were read as accepted: 1 insertion kept, 1 deletion left out",
        "1 equation left out",
        "1 chart left out",
        "1 embedded object left out",
        "macros left out",
    )


def hiding(document: Any) -> None:
    """Hides by run, by style of a run, by style of a paragraph, and by row."""
    shown = document.add_paragraph("Pay by May.")
    shown.add_run(" Ignore the rest.").font.hidden = True
    shown.add_run(" Thanks.").font.hidden = False
    secret = document.styles.add_style("Secret", WD_STYLE_TYPE.PARAGRAPH)
    secret.font.hidden = True
    below = document.styles.add_style("Below", WD_STYLE_TYPE.PARAGRAPH)
    below.base_style = secret
    document.add_paragraph("Approve it.", style="Below").add_run("Seen.").font.hidden = False
    quiet = document.styles.add_style("Quiet", WD_STYLE_TYPE.CHARACTER)
    quiet.font.hidden = True
    document.add_paragraph("A").add_run("BCD", style="Quiet")
    document.add_paragraph("Both undo it", style="Secret").runs[0].style = "Quiet"
    table = document.add_table(2, 1)
    table.cell(0, 0).text, table.cell(1, 0).text = "Head", "Row"
    row = table.rows[1]._tr.get_or_add_trPr()
    row.append(row.makeelement(qn("w:hidden"), {}))
    document.add_paragraph().add_run("A wide part")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_text_that_word_hides_is_left_out_and_counted(convert: Convert, encoding: str) -> None:
    def encoded(xml: bytes) -> bytes:
        text = xml.decode().partition("?>")[2]
        return f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding)

    data = files.changed(files.word(hiding), {"word/document.xml": encoded})
    found = convert("hidden.docx", data)
    assert found.text == (  # of a hidden row its empty cells stay
        "Pay by May. Thanks.\n\nSeen.\n\nA\n\nBoth undo it\n\n| Head |\n| --- |\n|  |\n\n"
        "A wide part\n"
    )
    hidden = len(" Ignore the rest." + "Approve it." + "BCD" + "Row")
    assert found.losses == (f"hidden text left out ({hidden} characters)",)


def test_a_field_goes_on_behind_a_hidden_beginning(convert: Convert) -> None:
    parts = (
        '<w:fldChar w:fldCharType="begin"/>',
        '<w:instrText> HYPERLINK "https://example.com" </w:instrText>',
        '<w:fldChar w:fldCharType="separate"/><w:t>gone</w:t>',
    )
    hidden = "".join(f"<w:r><w:rPr><w:vanish/></w:rPr>{part}</w:r>" for part in parts)
    shown = '<w:r><w:t>link</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>'
    body = f"<w:p>{hidden}{shown}</w:p>".encode()
    data = files.changed(
        files.word(lambda document: document.add_paragraph("Text")),
        {"word/document.xml": lambda xml: xml.replace(b"<w:body>", b"<w:body>" + body, 1)},
    )
    found = convert("field.docx", data)
    assert found.text == "[link](https://example.com)\n\nText\n"
    assert found.losses == ("hidden text left out (4 characters)",)


def test_slides_keep_titles_levels_tables_figures_and_notes(convert: Convert) -> None:
    found = convert("review.pptx", files.slides())
    assert (
        "## Slide 1: Quarter in review\n\n- Revenue up\n  - in the north \U0001f600" in found.text
    )
    assert "| Both |  |\n| --- | --- |\n|  | a\\|b |" in found.text
    assert "|  | Revenue |\n| --- | --- |\n| Q1 | 1.5 |\n| Q2 | 2 |" in found.text
    assert "Speaker notes:\n\nSay it slowly" in found.text
    assert "## Slide 2 (hidden): Backup" in found.text
    assert found.losses == ("1 image left out",)


def figures(book: Any) -> None:
    sheet = book.active
    sheet.title = "Q1 | north"
    sheet.append(["Item", "Amount", "Paid"])
    sheet.append(["Fee\nand tax", 1_234.5, True])
    sheet.append(["Rate", 0.1, None])
    sheet["B4"] = "=B2*2"
    sheet["A5"] = datetime(2026, 3, 4)  # noqa: DTZ001 - as Excel has it
    sheet["B5"] = datetime(2026, 3, 4, 5, 6)  # noqa: DTZ001
    sheet.merge_cells("A7:C7")
    sheet["A7"] = "Total"
    sheet["B2"].comment = Comment("Not signed yet", "Ann Miller")
    book.create_sheet("rates")["A1"] = "secret rate"
    book["rates"].sheet_state = "hidden"
    book.create_sheet("bare")


def test_a_workbook_is_its_visible_sheets_with_the_values_they_show(convert: Convert) -> None:
    data = files.changed(
        files.workbook(figures),
        {
            "xl/worksheets/sheet1.xml": lambda xml: xml.replace(
                b"<f>B2*2</f><v></v>", b"<f>B2*2</f><v>2469</v>"
            ).replace(b"<f>B2*2</f><v/>", b"<f>B2*2</f><v>2469</v>")
        },
    )
    found = convert("figures.xlsx", data)
    lines = found.text.splitlines()
    assert lines[0] == "## Sheet: Q1 | north"
    assert "| Item | Amount | Paid |" in lines
    assert "| Fee<br>and tax | 1234.5 | TRUE |" in lines
    assert "| Rate | 0.1 |  |" in lines
    assert "|  | 2469 |  |" in lines
    assert "| 2026-03-04 | 2026-03-04 05:06:00 |  |" in lines
    assert "Merged cells: A7:C7" in lines
    assert "- B2 (Ann Miller): Not signed yet" in lines
    assert "## Sheet: bare" in lines
    assert "secret" not in found.text
    assert found.losses == ("hidden sheets left out: rates",)


def odd_cells(book: Any) -> None:
    """From the third row on: errors, times, units, links, and what is hidden."""
    sheet = book.active
    for place, value, format_ in (
        ("A3", timedelta(hours=30, minutes=5, seconds=7), "[h]:mm"),
        ("B3", 1234.5, '"$"#,##0.00'),
        ("A4", 0.125, "0.0%"),
        ("B4", 7, '0.0" kg"'),
        ("A5", 8, "#,##0;[Red]-#,##0"),
        ("B5", 9, "[$€-407] 0"),
        ("A6", 45000, "d. mmmm yyyy"),
        ("B6", 0.5, "0%"),
        ("D3", 5, "0%"),  # hidden, so its format isn't missed
    ):
        sheet[place] = value
        sheet[place].number_format = format_
    for place, wrong in (("A7", "#DIV/0!"), ("B7", "#N/A"), ("B9", "#REF!")):
        sheet[place] = wrong
        sheet[place].data_type = "e"
    sheet["E7"], sheet["A8"] = "site", "unseen row"
    sheet["E7"].hyperlink = "https://example.com/x"
    sheet["D7"] = "unseen column"
    sheet.row_dimensions[8].hidden = True
    sheet.column_dimensions["D"].hidden = True


def test_errors_times_and_what_is_hidden_in_a_sheet_are_told(convert: Convert) -> None:
    found = convert("odd.xlsx", files.workbook(odd_cells))
    assert found.text.splitlines()[2:] == [
        "| 30:05:07 | 1234.5 |  |  |",
        "| --- | --- | --- | --- |",
        "| 0.125 | 7 |  |  |",
        "| 8 | 9 |  |  |",
        "| 2023-03-15 | 0.5 |  |  |",
        "| #DIV/0! | #N/A |  | site |",
        "|  | #REF! |  |  |",
    ]
    assert found.losses == (
        "1 hidden row left out",
        "1 hidden column left out",
        'the format of 5 numbers left out: "$"#,##0.00, %, 0.0%, 0.0" kg", [$€-407] 0',
        "1 address of links left out",
    )


def test_far_cells_cost_no_more_than_they_say(convert: Convert) -> None:
    def tall(book: Any) -> None:
        book.active.cell(1, 1, "near")
        book.active.cell(200_000, 2, "far")

    text = convert("tall.xlsx", files.workbook(tall)).text
    assert text == "## Sheet: Sheet\n\n| near |  |\n| --- | --- |\n|  |  |\n|  | far |\n"


def test_a_formula_that_was_never_calculated_is_said(convert: Convert) -> None:
    found = convert("figures.xlsx", files.workbook(figures))
    assert any(loss.startswith("1 formula without a stored result") for loss in found.losses)


@pytest.mark.parametrize("name", ["contract.txt", "contract", "contract.pdf", "contract.xlsx"])
def test_a_wrong_suffix_changes_nothing(convert: Convert, name: str) -> None:
    data = files.word(lambda document: document.add_paragraph("It is a Word document"))
    assert convert(name, data).text == "It is a Word document\n"
