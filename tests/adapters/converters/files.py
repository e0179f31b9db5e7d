"""Real files of every kind, made as the programs make them that people use."""

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage
from typing import Any

import docx
import openpyxl
import pypdf
from PIL import Image
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

_CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
)
LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]>"
)


def pdf(*pages: str) -> bytes:
    """A PDF with a line of text on each page, written by hand."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    for text in pages:
        line = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        stream = f"BT /F1 12 Tf 72 720 Td ({line}) Tj ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        kids.append(f"{len(objects) + 1} 0 R")
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
            f"/Contents {len(objects)} 0 R /Resources << /Font << /F1 << /Type /Font "
            "/Subtype /Type1 /BaseFont /Helvetica >> >> >> >>"
        )
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(kids)}] >>"
    out = b"%PDF-1.4\n"
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    trailer = f"trailer << /Size {size} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return out + f"xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode()


def locked_pdf(user: str, *, algorithm: str = "AES-256") -> bytes:
    """A PDF that may be opened with the password `user`, which may be empty."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf("Locked page")))
    writer.encrypt(user_password=user, owner_password="owner", algorithm=algorithm)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def image(
    kind: str = "PNG", size: tuple[int, int] = (40, 30), *, turned: int = 0, mode: str = "RGB"
) -> bytes:
    """An image; `turned` is its EXIF orientation."""
    made = Image.new(mode, size, "white" if mode != "P" else 0)
    made.putpixel((0, 0), 0)
    exif = Image.Exif()
    if turned:
        exif[0x0112] = turned
    out = io.BytesIO()
    made.save(out, kind, **({"exif": exif} if turned else {}))
    return out.getvalue()


def word(build: Callable[[Any], None]) -> bytes:
    """A docx that `build` fills."""
    document = docx.Document()
    build(document)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def changed(package: bytes, parts: Mapping[str, Callable[[bytes], bytes]]) -> bytes:
    """An archive with some members rewritten, or added."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, parts.get(name, bytes)(old.read(name)), zipfile.ZIP_DEFLATED)
        for name in parts.keys() - set(old.namelist()):
            new.writestr(name, parts[name](b""), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def workbook(build: Callable[[Any], None]) -> bytes:
    """An xlsx that `build` fills."""
    book = openpyxl.Workbook()
    build(book)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def slides() -> bytes:
    """A slide show with a title, bullets, a table, a chart, a picture, notes and a hidden slide."""
    show = Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "Quarter in review"
    frame = slide.placeholders[1].text_frame
    frame.text = "Revenue up"
    below = frame.add_paragraph()
    below.text, below.level = "in the north \U0001f600", 1
    slide.notes_slide.notes_text_frame.text = "Say it slowly"
    room = (0, 0, Inches(2), Inches(2))
    table = slide.shapes.add_table(2, 2, *room).table
    table.cell(0, 0).merge(table.cell(0, 1))
    table.cell(0, 0).text, table.cell(1, 1).text = "Both", "a|b"
    data: Any = CategoryChartData()  # type: ignore[no-untyped-call]
    data.categories = ["Q1", "Q2"]
    data.add_series("Revenue", (1.5, 2))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *room, data)
    slide.shapes.add_picture(io.BytesIO(image()), 0, 0)
    hidden = show.slides.add_slide(show.slide_layouts[5])
    hidden.shapes.title.text = "Backup"
    hidden._element.set("show", "0")
    out = io.BytesIO()
    show.save(out)
    return out.getvalue()


def archive(members: Mapping[str, bytes | str]) -> bytes:
    """A ZIP archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return out.getvalue()


def book(
    chapters: Sequence[str], *, more: Mapping[str, str] | None = None, head: str = ""
) -> bytes:
    """An EPUB with these chapters, as XHTML bodies."""
    items = "".join(
        f'<item id="c{n}" href="ch%20{n}.xhtml" media-type="application/xhtml+xml"/>'
        for n in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    outline = (
        f'{head}<package xmlns="http://www.idpf.org/2007/opf" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>The Mill</dc:title>'
        f"<dc:creator>A. Miller</dc:creator></metadata><manifest>{items}</manifest>"
        f"<spine>{spine}</spine></package>"
    )
    pages = {
        f"OEBPS/ch {n}.xhtml": f'<?xml version="1.0"?><!DOCTYPE html><html><head><title>x</title>'
        f"</head><body>{chapter}</body></html>"
        for n, chapter in enumerate(chapters)
    }
    return archive(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": _CONTAINER,
            "OEBPS/book.opf": outline,
            **pages,
            **(more or {}),
        }
    )


def mail(text: str = "See attached.", **attached: tuple[str, bytes]) -> EmailMessage:
    """A mail; each attachment is its type and its content, by name (`_` for a dot)."""
    message = EmailMessage()
    message["From"] = "Ann Miller <ann@tidewater.example>"
    message["To"] = "legal@docmill.example"
    message["Subject"] = "Prüfung des Vertrags \U0001f4c4"
    message["Date"] = "Tue, 24 Nov 2026 10:00:00 +0000"
    message.set_content(text)
    for name, (type_, content) in attached.items():
        main, _, sub = type_.partition("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name.replace("_", "."))
    return message
