"""A line of a batch's results, and what it means for one of the documents it answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from shared.domain.answer_form import AnswerForm
from shared.domain.batch import Member
from shared.domain.catalog import Usage
from shared.domain.document import Document
from shared.domain.outcome import Outcome, Report, ResultLine
from shared.domain.report import text_digest
from shared.domain.unfinished import KeptText, Unfinished


@dataclass(slots=True, kw_only=True)
class Judged:
    """A line with what it means for a place. `document` is to be settled; None when it is already.

    `usage` and its costs are what this line is billed, `outcome` and `whole_cost` are of the report
    with all that came of it before, which is `kept`; `unfinished` is what there is now, where the
    rest is to be asked for. `is_continued` says so of what is settled already, too;
    `is_merged` that the document has parts, or had.
    """

    place: int
    line: ResultLine
    document: Document | None
    outcome: Outcome
    usage: Usage
    is_twin: bool
    cost: Decimal | None
    without_batches: Decimal | None
    whole_cost: Decimal | None
    kept: KeptText | None = None
    unfinished: Unfinished | None = None
    is_continued: bool = False
    is_merged: bool = False


def leader_of(place: int, members: Sequence[Member]) -> str | None:
    """The document whose request was sent for the one at this place; None when its own was."""
    leader = members[place].twin
    return None if leader is None else members[leader].path


def more_of(judged: Judged, members: Sequence[Member], form: AnswerForm) -> dict[str, object]:
    """What the report's header says besides what every report's does."""
    more: dict[str, object] = {}
    leader = leader_of(judged.place, members)
    if leader is not None:
        more["same_request_as"] = leader
    if judged.document is not None and judged.document.unfinished is not None:
        more["continued"] = judged.document.unfinished.count
    if isinstance(judged.outcome, Report) and form.keeps_text:
        more["text_digest"] = text_digest(judged.outcome.text)
    return more
