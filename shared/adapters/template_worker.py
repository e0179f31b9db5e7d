"""The child of `shared.adapters.template_guard`: renders what it is told, within its memory."""

import json
import pickle
import resource
import sys

from shared.adapters.child_process import read_frame, write_frame
from shared.domain.template import PromptError, PromptTemplate


def main() -> None:
    """Answer until the parent closes its end."""
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    known: tuple[str, PromptTemplate] | None = None
    while (message := read_frame(sys.stdin.buffer)) is not None:
        told = pickle.loads(message)  # noqa: S301 - from the parent, over its pipe
        source, values, salt, own = told
        try:
            if known is None or known[0] != source:
                known = (source, PromptTemplate(source))
            answer: dict[str, object] = {"text": known[1].render(values, salt=salt, own=own)}
        except PromptError as error:
            answer = {"message": str(error), "kind": error.kind, "line": error.line}
        write_frame(sys.stdout.buffer, json.dumps(answer).encode())


if __name__ == "__main__":
    main()
