import csv
import io
from decimal import Decimal

from shared.domain.confusion import MOST_TRUTHS, Agreement, Confusion
from shared.domain.truth import Truth

TRUTH = Truth(field="label", column="truth", labels=("a", "b", "=c"))


def table(found: Confusion) -> list[list[str]]:
    return list(csv.reader(io.StringIO(found.table().decode("utf-8-sig"))))


def test_each_truth_has_a_row_and_each_answer_a_column() -> None:
    found = Confusion(TRUTH)
    for truth, answer in (("a", "a"), ("a", "a"), ("a", "b"), ("b", "b"), ("=c", "b")):
        found.answered(truth, answer)
    found.unanswered("b")
    found.answered(None, "a")
    assert table(found) == [
        ["truth \\ answer", "a", "b", "'=c", "(no answer)", "total", "recall"],
        ["a", "2", "1", "0", "0", "3", "0.6667"],
        ["b", "0", "1", "0", "1", "2", "0.5000"],
        ["'=c", "0", "1", "0", "0", "1", "0.0000"],
        ["precision", "1.0000", "0.3333", "", "", "", ""],
    ]
    agreement = found.agreement
    assert agreement == Agreement(field="label", right=3, answered=5, unanswered=1, untold=1)
    assert agreement.accuracy == Decimal("0.6")


def test_truths_and_answers_that_are_no_label_show_and_are_never_right() -> None:
    found = Confusion(TRUTH)
    found.answered("Aa", "a")
    found.answered("a", "old label")
    found.answered("old label", "old label")
    rows = table(found)
    assert rows[0][4:6] == ["(another)", "(no answer)"]
    assert [row[0] for row in rows[1:-1]] == ["a", "b", "'=c", "Aa", "old label"]
    assert found.agreement.right == 0
    assert found.agreement.answered == 3


def test_a_column_named_by_mistake_does_not_grow_the_table() -> None:
    found = Confusion(TRUTH)
    for number in range(3 * MOST_TRUTHS):
        found.answered(f"text {number}", "a")
    rows = table(found)
    assert len(rows) == 1 + len(TRUTH.labels) + MOST_TRUTHS + 1 + 1
    assert rows[-2][:2] == ["(another)", str(2 * MOST_TRUTHS)]


def test_without_any_answer_nothing_is_claimed() -> None:
    found = Confusion(TRUTH)
    assert found.agreement.accuracy is None
    assert table(found)[1][-1] == ""
