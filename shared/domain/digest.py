"""The document that a digest is made of: the reports of a group, and what has none.

Reports are a model's words about untrusted documents, so each stands between tags that it can't
close, and so does every name. The same reports give the same bytes, whatever they cost.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from shared.domain.ids import JobName
from shared.domain.record import Record
from shared.domain.report import report_text
from shared.domain.template import fence

DIGEST_NAME: Final = "_digest"
"""The digest of a folder is `<folder>/_digest.md`, where the report of a document of this name
would be."""

DIGEST_RECIPE: Final = "_digest.md"
"""Beside a job's recipe in the input bucket: the recipe of its digests."""

_OF: Final = "/.docmill/digest"
"""No document can lie there, so no job of documents has such a name, and none of their reports such
a place."""
_HEADER_BYTES: Final = 64_000


def digest_job(job: JobName) -> JobName:
    """The job that the digests of a job's groups are the documents of."""
    return JobName(job + _OF)


def digested_job(job: JobName) -> JobName | None:
    """The job whose reports the documents of this one are made of; None for any other job."""
    return JobName(job.removesuffix(_OF)) if job.endswith(_OF) else None


def digest_path(group: str) -> str:
    """The document's path, and its report's but for the suffix."""
    return f"{group}/{DIGEST_NAME}" if group else DIGEST_NAME


class Reported(Record, frozen=True, kw_only=True):
    """A report: of which document, its text, and whether the model was cut short."""

    path: str
    text: str
    truncated: bool = False


def report_read(path: str, suffix: str, data: bytes) -> Reported:
    """A report as it lies in the output: what the model said, below the header."""
    head = data[:_HEADER_BYTES].partition(b"\n---\n")[0] + b"\n"
    truncated = b"\ntruncated: true\n" in head
    return Reported(path=path, text=_text(suffix, data), truncated=truncated)


def _text(suffix: str, data: bytes) -> str:
    match suffix:
        case ".json":
            try:
                answer = json.loads(data)["answer"]
            except (ValueError, KeyError, TypeError):  # somebody put something else there
                return data.decode("utf-8", "replace")
            return json.dumps(answer, ensure_ascii=False, indent=1)
        case ".html":
            return data.decode("utf-8", "replace")
        case _:
            return report_text(data)


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
