"""Answers beside the truth: how often each label was given where each would have been right."""

import csv
import io
from collections import Counter
from decimal import Decimal
from typing import Final

from shared.domain.record import Record
from shared.domain.truth import Truth, label_text

MOST_TRUTHS: Final = 500
"""Truths that are no label, each with a row of its own; the rest share one, so that no column that
was named by mistake grows the table with the job."""

CORNER: Final = "truth \\ answer"
"""The first cell, by which the table is told from a file of somebody else's."""

NO_ANSWER: Final = "(no answer)"
ANOTHER: Final = "(another)"

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class Agreement(Record, frozen=True, kw_only=True):
    """`right` of `answered` answers are as the truth has it. `unanswered` documents have a truth
    and failed; `untold` have an answer, and nobody said what is right."""

    field: str
    right: int = 0
    answered: int = 0
    unanswered: int = 0
    untold: int = 0

    @property
    def accuracy(self) -> Decimal | None:
        """The share of right answers, to four digits; None where there is none."""
        if not self.answered:
            return None
        return (Decimal(self.right) / self.answered).quantize(Decimal("0.0001"))


class Confusion:
    """Counts pairs of truth and answer; as large as the labels are many, not the documents."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._others: set[str] = set()
        self._untold = 0

    def answered(self, truth: str | None, answer: object) -> None:
        """A document's answer, and what would be right."""
        if truth is None:
            self._untold += 1
            return
        given = label_text(answer)
        column = given if given in self._truth.labels else ANOTHER
        self._pairs[self._row(truth), column] += 1

    def unanswered(self, truth: str | None) -> None:
        """A document that failed."""
        if truth is not None:
            self._pairs[self._row(truth), NO_ANSWER] += 1

    def _row(self, truth: str) -> str:
        if truth in self._truth.labels or truth in self._others:
            return truth
        if len(self._others) >= MOST_TRUTHS:
            return ANOTHER
        self._others.add(truth)
        return truth

    @property
    def agreement(self) -> Agreement:
        """The table in one line."""
        unanswered = sum(n for (_, given), n in self._pairs.items() if given == NO_ANSWER)
        return Agreement(
            field=self._truth.field,
            right=sum(self._pairs[label, label] for label in self._truth.labels),
            answered=self._pairs.total() - unanswered,
            unanswered=unanswered,
            untold=self._untold,
        )

    def table(self) -> bytes:
        """`confusion.csv`: a row for each truth, a column for each answer, then `total` and
        `recall`; `precision` is the last row. A share of nothing is empty."""
        labels = self._truth.labels
        rows = [*labels, *sorted(self._others)]
        if any(truth == ANOTHER for truth, _ in self._pairs):
            rows.append(ANOTHER)
        others = any(given == ANOTHER for _, given in self._pairs)
        answers = [*labels, *([ANOTHER] if others else []), NO_ANSWER]
        text = io.StringIO()
        # Labels come from people who may be strangers to whoever opens the table.
        write = csv.writer(text, lineterminator="\r\n").writerow
        write([CORNER, *map(_safe, answers), "total", "recall"])
        for truth in rows:
            counts = [self._pairs[truth, given] for given in answers]
            right = self._pairs[truth, truth] if truth in labels else 0
            write([_safe(truth), *counts, sum(counts), _share(right, sum(counts))])
        given = {answer: sum(self._pairs[truth, answer] for truth in rows) for answer in labels}
        precision = [_share(self._pairs[label, label], given[label]) for label in labels]
        write(["precision", *precision, *[""] * (len(answers) - len(labels)), "", ""])
        return "\ufeff".encode() + text.getvalue().encode("utf-8", "replace")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.4f}" if whole else ""


def _safe(cell: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
