"""`docmill` with a lease of half a second, so that a test can outlast it."""

import sys
from datetime import timedelta
from functools import partial

from handlers.cli.main import entry
from shared.domain.policy import Policy

LEASE_S = 0.5

if __name__ == "__main__":
    short = partial(Policy, lease=timedelta(seconds=LEASE_S))
    vars(sys.modules["shared.wiring.laptop"])["Policy"] = short
    entry()
