"""Counting what a request's prompt comes to, without sending the request.

Adapters: `shared.adapters.anthropic_api` (the SDK) and `shared.adapters.simulator_api`.
"""

from collections.abc import Mapping
from typing import Any, Protocol


class TokenCounter(Protocol):
    """Each call is made once, costs nothing and creates nothing."""

    async def count_tokens(self, params: Mapping[str, Any]) -> int:
        """Tokens of the prompt of a request with these params, as its model counts them.

        Raises the errors of `shared.ports.batch_api`: Refused or Unavailable.
        """
