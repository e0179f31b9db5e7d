"""Templates that could outgrow any bound are rendered in a process that may die of it.

minijinja's fuel bounds what a template does, not what it holds: a few list additions, or one width
of a format, take all memory there is, and values nested deep enough end the process. So whatever is
not plain (`shared.domain.template.is_plain`) is rendered by a child with a limit of its own, which
gets no secret, and whose death is a fault of the document at hand.
"""

import json
import pickle
from collections.abc import Mapping

from shared.adapters.child_process import ChildProcess, TooSlow
from shared.domain.template import NOTHING, Own, PromptError

MEMORY_BYTES = 1 << 30
"""Address space of the child: twice what a template within its fuel was seen to need."""

PATIENCE_S = 60.0
"""How long one document may take; within the fuel it is a few seconds."""

_DIED = "the template takes too much memory or nests its values too deep for this document"
_SLOW = f"the template takes more than {PATIENCE_S:.0f} seconds for this document"


class TemplateGuard:
    """Renders in a child process that is started when it is first needed, and anew when it died.

    Not for several threads at once. A child whose parent is gone ends by itself.
    """

    def __init__(self, *, memory_bytes: int = MEMORY_BYTES, patience_s: float = PATIENCE_S) -> None:
        self._patience = patience_s
        self._child = ChildProcess("shared.adapters.template_worker", str(memory_bytes))

    def __call__(
        self, source: str, values: Mapping[str, object], salt: bytes, own: Own = NOTHING
    ) -> str:
        """The text of the template `source`. Raises PromptError."""
        message = pickle.dumps((source, dict(values), salt, own))
        try:
            answer = self._child.ask(message, patience_s=self._patience)
        except TooSlow:
            raise PromptError(_SLOW, kind="OutOfTime", line=None) from None
        if answer is None:
            raise PromptError(_DIED, kind="Died", line=None)
        found = json.loads(answer)
        if "text" in found:
            return str(found["text"])
        raise PromptError(found["message"], kind=found["kind"], line=found["line"])

    def close(self) -> None:
        """End the child."""
        self._child.close()
