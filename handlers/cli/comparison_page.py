"""`compare.html`: the reports of each document beside each other, as text, in one file.

Names and answers are untrusted: they are escaped, nothing in the page is run, and it loads nothing.
"""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from handlers.cli.comparison import Compared, basis
from handlers.cli.faults import Fault
from handlers.cli.sampling import Sample
from handlers.cli.wording import counted, money
from shared.adapters.folder_blobs import FolderBlobs
from shared.domain.names import escaped
from shared.ports.blobs import BlobError

PAGE = "compare.html"
_HEADER_BEGINS = b"---\ndocument: "
_OURS = b"<!doctype html><!-- docmill compare -->"
_HEAD = """
<html lang="en"><head><meta charset="utf-8"><title>docmill compare</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body{font:15px/1.45 system-ui,sans-serif;margin:1.5rem;color:#1b1b1b;background:#fff}
table{border-collapse:collapse}th,td{padding:.2rem .7rem;text-align:right;border-top:1px solid #ddd}
th:first-child,td:first-child{text-align:left}h2{font-size:1.05rem;margin:2rem 0 .4rem}
.side{display:grid;grid-auto-flow:column;grid-auto-columns:minmax(20rem,1fr);gap:1rem;overflow:auto}
article{border:1px solid #ddd;border-radius:4px;padding:.5rem .8rem;min-width:0}
h3{font-size:.9rem;margin:.2rem 0}p{margin:.2rem 0;color:#555}.failed{color:#a00}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.45 ui-monospace,monospace}
</style></head><body><h1>docmill compare</h1>
"""


def check_page(out: Path) -> None:
    """Raise Fault where something else than an earlier page lies in its place."""
    if (message := FolderBlobs(out).obstacle(PAGE, ours=_OURS)) is not None:
        raise Fault(f"{message}; move it, or use another --out")


def write_page(out: Path, sample: Sample, compared: Sequence[Compared]) -> None:
    """Write it whole, one report in memory at a time."""
    pieces = (piece.encode("utf-8", "replace") for piece in _page(sample, compared))
    FolderBlobs(out).write_stream(PAGE, pieces)


def _page(sample: Sample, compared: Sequence[Compared]) -> Iterator[str]:
    yield _OURS.decode()
    yield _HEAD
    yield f"<p>{_text(basis(sample, compared))}</p>\n<table><tr><th>variant</th>"
    yield from (f"<th>{_text(heading)}</th>" for heading in compared[0].cells())
    yield "</tr>\n"
    for each in compared:
        yield f"<tr><td>{_text(each.variant.name)}</td>"
        yield "".join(f"<td>{_text(cell)}</td>" for cell in each.cells().values()) + "</tr>\n"
    yield "</table>\n"
    for path in sorted(sample.paths):
        yield f'<section><h2>{_text(path)}</h2><div class="side">\n'
        for each in compared:
            yield from _article(path, each)
        yield "</div></section>\n"
    yield "</body></html>\n"


def _article(path: str, each: Compared) -> Iterator[str]:
    yield f"<article><h3>{_text(each.variant.name)}</h3>"
    seen = each.observed.get(path)
    if seen is not None and seen.cost is not None:
        yield f"<p>{counted(seen.output_tokens, 'token')} out, {money(seen.cost)}"
        yield ", cut off at max_tokens</p>" if seen.truncated else "</p>"
    if (failure := each.failures.get(path)) is not None:
        yield f'<p class="failed">failed: {_text(failure.type)}: {_text(failure.message)}</p>'
    elif (key := each.reports.get(path)) is not None:
        yield f"<pre>{_lines(_report(each.variant.out, key))}</pre>"
    else:
        yield "<p>no report</p>"
    yield "</article>\n"


def _report(out: Path, key: str) -> str:
    """The model's words, without the header."""
    try:
        data = FolderBlobs(out).read(key)
    except BlobError as error:
        return error.message
    if data.startswith(_HEADER_BEGINS):
        data = data.partition(b"\n---\n")[2]
    return data.decode("utf-8", "replace").strip("\n")


def _lines(text: str) -> str:
    return "\n".join(_text(line.expandtabs(4)) for line in text.split("\n"))


def _text(text: str) -> str:
    """Escaped twice: what steers a line of text, then what steers a page."""
    return escape(escaped(text))
