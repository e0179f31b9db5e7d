"""What a batch came to. Derived from its results in one pass; never incremented afterwards."""

from decimal import Decimal

from shared.domain.catalog import Usage
from shared.domain.record import Record


class Totals(Record, frozen=True, kw_only=True):
    """Outcomes, tokens and dollars of one or many batches.

    `cost` is what the batch price comes to, `cost_without_batches` the same at the standard price,
    `saved_by_caching` how much more `cost` would be without what was written to and read from the
    cache (below zero where writing cost more than reading saved); all leave out the `unpriced`
    requests: their model has no known price, or what they used isn't known, as their result is
    lost, strange, or without a count of tokens. `retried` requests are waiting again, and so are
    `continued` ones, for the rest of a report that was cut short. `twins` counts the outcomes, of
    any kind, that came of another document's request as theirs would have been the same: nothing
    was paid for them. `parts` are the requests about a part of a long document that were answered,
    or failed: no reports, and no failures of their own.
    """

    reported: int = 0
    truncated: int = 0
    failed: int = 0
    retried: int = 0
    continued: int = 0
    twins: int = 0
    parts: int = 0
    unpriced: int = 0
    usage: Usage = Usage()
    cost: Decimal = Decimal(0)
    cost_without_batches: Decimal = Decimal(0)
    saved_by_caching: Decimal = Decimal(0)

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            reported=self.reported + other.reported,
            truncated=self.truncated + other.truncated,
            failed=self.failed + other.failed,
            retried=self.retried + other.retried,
            continued=self.continued + other.continued,
            twins=self.twins + other.twins,
            parts=self.parts + other.parts,
            unpriced=self.unpriced + other.unpriced,
            usage=self.usage + other.usage,
            cost=self.cost + other.cost,
            cost_without_batches=self.cost_without_batches + other.cost_without_batches,
            saved_by_caching=self.saved_by_caching + other.saved_by_caching,
        )

    @property
    def outcomes(self) -> int:
        """How many outcomes it is of, of documents and of their parts."""
        return self.reported + self.failed + self.retried + self.continued + self.parts

    @property
    def answers(self) -> int:
        """How many results it is of."""
        return self.outcomes - self.twins

    @property
    def report_tokens(self) -> int | None:
        """How long its answers got in the mean, for each report; None before there is one."""
        made = max(self.reported - self.twins + self.parts, 1)
        return self.usage.output_tokens // made if self.reported else None

    @property
    def saved(self) -> Decimal:
        """What batching saved, of the requests whose price is known."""
        return self.cost_without_batches - self.cost
