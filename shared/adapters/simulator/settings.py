"""What a simulator is told once, when it is made; what changes while it runs is in `faults`."""

from dataclasses import dataclass

MAX_REQUESTS = 100_000
"""Requests in one batch. Source: message-batches-api.md, section 3."""

MAX_BYTES = 256_000_000
"""256 MB read the strict way, as the fact sheet advises; the edge answers 413 above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """How the provider behaves when nothing goes wrong.

    `duration_s` is how long a batch takes (0: ended at the first look after create), `output_bytes`
    how long a text is at least, `keys` which keys are taken (empty: any), `queue_limit` how many
    requests may wait in all batches together. Counters other than `processing` stay 0 until the
    whole batch has ended, as documented, unless `progressive_counts`, as reported.
    """

    duration_s: float = 2.0
    output_bytes: int = 0
    queue_limit: int = 500_000
    keys: tuple[str, ...] = ()
    progressive_counts: bool = False
    max_bytes: int = MAX_BYTES
