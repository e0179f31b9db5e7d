"""The document that a digest is made of: the reports of a group, and what has none.

Reports are a model's words about untrusted documents, so each stands between tags that it can't
close, and so does every name. The same reports give the same bytes, whatever they cost.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from shared.domain.record import Record
from shared.domain.template import fence

DIGEST_NAME: Final = "_digest"
"""The digest of a folder is `<folder>/_digest.md`, where the report of a document of this name
would be."""


class Reported(Record, frozen=True, kw_only=True):
    """A report: of which document, its text, and whether the model was cut short."""

    path: str
    text: str
    truncated: bool = False


def digest_document(reports: Iterator[Reported], failed: Mapping[str, str]) -> Iterator[str]:
    """The text, a piece for each report, in the order given; `failed` says of each document without
    one what kind of failure it is.

    Each begins with a heading, so that what is too long for one request is cut between reports.
    """
    count = 0
    for report in reports:
        count += 1
        salt = report.path.encode()
        note = "\nIt was cut short at the longest answer.\n" if report.truncated else ""
        yield f"# Report of {fence(report.path, salt)}\n{note}\n{fence(report.text, salt)}\n\n"
    yield f"# Numbers\n\n{count} documents have a report; {len(failed)} have none"
    yield ":\n\n" if failed else ".\n"
    for path, type_ in sorted(failed.items()):
        yield f"- {fence(path)} ({fence(type_)})\n"
