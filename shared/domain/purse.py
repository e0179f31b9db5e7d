"""What one batch that is being planned may cost, and what it costs at most so far."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(slots=True)
class Purse:
    """Amounts are in US dollars. `left` is what the batch may cost, None without a limit; `cost` is
    that of the requests in it, `dearest` of the one that costs most. `split` is for parts of
    documents that are split meanwhile, which are sent in other batches."""

    left: Decimal | None
    cost: Decimal = Decimal(0)
    dearest: Decimal = Decimal(0)
    split: Decimal = Decimal(0)

    def has(self, amount: Decimal | None) -> bool:
        """Whether a request may still cost so much; what has no price always may."""
        return self.left is None or self.cost + (amount or Decimal(0)) <= self.left

    def take(self, amount: Decimal | None) -> None:
        """Take a request that may cost so much."""
        self.cost += amount or Decimal(0)
        self.dearest = max(self.dearest, amount or Decimal(0))

    def splits(self, amount: Decimal) -> bool:
        """Take what splitting a document may cost, if there is room for it."""
        if amount and self.left is not None and self.cost + self.split + amount > self.left:
            return False
        self.split += amount
        return True
