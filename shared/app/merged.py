"""What a merged report says in its header and its row: what all of its document's parts used."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec.structs import replace

from shared.app.deps import Deps
from shared.app.parts import parts_of
from shared.domain.answer_form import REPORT_FIELD
from shared.domain.batch import Batch
from shared.domain.catalog import added
from shared.domain.document import Document
from shared.domain.outcome import Report
from shared.domain.parts import Answer, together


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A report as its header describes it, what it cost, and what else the header says."""

    report: Report
    cost: Decimal | None
    more: Mapping[str, object] = field(default_factory=dict)


def header_of(
    deps: Deps, batch: Batch, document: Document, report: Report, *, cost: Decimal | None
) -> Header:
    """The header of one answer. The totals of a batch are its own requests', all the same."""
    part, parts = document.part, document.parts
    if part is not None:
        more = {"part": part.number + 1, "parts": part.count, "level": part.level}
        return Header(report=report, cost=cost, more=more)
    used = merged_from(deps, batch, document)
    if used is None or parts is None:
        return Header(report=report, cost=cost)
    whole = replace(
        report,
        usage=used.usage + report.usage,
        truncated=report.truncated or used.truncated,
    )
    return Header(report=whole, cost=added(cost, used.cost), more={"parts": parts.counts[0]})


def merged_from(deps: Deps, batch: Batch, document: Document) -> Answer | None:
    """What the answers used that the document's report is merged from, while their records are
    there; None where it isn't merged."""
    parts = document.parts
    if parts is None or not document.merges:
        return None
    answers = [each.answer for each in parts_of(deps, document) if each.answer is not None]
    if not answers:  # it was split once, and sent whole by a recipe with a larger model
        return None
    cost: Decimal | None = Decimal(0)
    for answer in answers:
        cost = added(cost, _cost(deps, batch, answer))
    return together(answers, cost=cost)


def as_answer(report: Report) -> Report:
    """A part's answer as it is kept: fields are given on as they came, in its text."""
    if report.fields is None:
        return report
    beside = {REPORT_FIELD: report.text} if report.text else {}
    text = json.dumps({**report.fields, **beside}, ensure_ascii=False, default=str)
    return replace(report, text=text, fields=None)


def answered(document: Document, report: Report) -> Document:
    """A part with what its answer used; a document as it is."""
    if document.part is None:
        return document
    answer = Answer(usage=report.usage, truncated=report.truncated, uncounted=report.uncounted)
    return replace(document, answer=answer)


def _cost(deps: Deps, batch: Batch, answer: Answer) -> Decimal | None:
    """Priced by itself, as prices may depend on the prompt's size, by the model of the merge: the
    recipe is the same."""
    return None if answer.uncounted else batch.cost(deps.catalog, answer.usage)
