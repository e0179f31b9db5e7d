"""Where an estimate's tokens come from: the API's count of some documents, or a guess by bytes."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from handlers.cli.faults import Fault
from handlers.cli.options import settings_for
from handlers.cli.wording import counted
from shared.adapters.anthropic_api import AnthropicApi
from shared.app.counting import count_waiting
from shared.app.deps import Deps
from shared.app.load import Waiting
from shared.domain.counting import InputTokens
from shared.domain.document import Document
from shared.domain.estimate import BYTES_PER_TOKEN
from shared.domain.recipe import Recipe
from shared.ports.batch_api import ApiError
from shared.wiring.laptop import JOB


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What was counted, or why nothing was."""

    found: InputTokens | None
    why_not: str = ""

    def told(self) -> str:
        """In one line."""
        found = self.found
        if found is None:
            return f"tokens in: guessed at {BYTES_PER_TOKEN} bytes a token ({self.why_not})"
        text = f"tokens in: counted by the API for {found.counted:,} of "
        text += counted(found.of, "request")
        if found.counted < found.of:
            text += (
                f"; from {found.low:,} to {found.high:,} if the others are as light, or as dense, "
                "for their size as any of these"
            )
        return f"{text}; another model than {found.model} may count otherwise"


def count(
    deps: Deps,
    recipe: Recipe,
    found: Waiting,
    also: Callable[[], Iterable[Document]],
    *,
    offline: str = "",
) -> Tokens:
    """Ask the API, unless there is a reason to stay `offline`; what it can't tell is guessed."""
    if offline:
        return Tokens(found=None, why_not=offline)
    if not found.requests:
        return Tokens(found=None, why_not="nothing to count")
    try:
        settings = settings_for(simulate=False)
    except Fault as fault:
        return Tokens(found=None, why_not=fault.message.partition(";")[0])

    async def ask() -> InputTokens | None:
        base_url = settings.base_url or None
        async with AnthropicApi(api_key=settings.api_key, base_url=base_url) as api:
            return await count_waiting(deps, api, JOB, recipe, found=found, also=also)

    try:
        tokens = asyncio.run(ask())
    except ApiError as error:
        return Tokens(found=None, why_not=f"the API didn't count: {error.message}")
    return Tokens(found=tokens, why_not="" if tokens else "nothing to count")
