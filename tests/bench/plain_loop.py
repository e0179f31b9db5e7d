"""What docmill is compared with: the loop over the official SDK, as most people write it.

`plain_loop.py INPUT OUT SYSTEM PROMPT MODEL MAX_TOKENS POLL_SECONDS`: a file of INPUT each becomes
a file of OUT. It keeps no state, so it can't be resumed, and it names no failure.
"""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anthropic

if TYPE_CHECKING:
    from anthropic.types.messages.batch_create_params import Request


def main() -> None:
    """Create one batch of every file, poll it, write a file per result."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    system, prompt, model = sys.argv[3:6]
    max_tokens, pause = int(sys.argv[6]), float(sys.argv[7])
    names = {}
    requests: list[Request] = []
    for number, path in enumerate(sorted(source.iterdir())):
        custom_id = f"document-{number}"
        names[custom_id] = path.name
        requests.append(
            {
                "custom_id": custom_id,
                "params": {
                    "model": model,
                    "max_tokens": max_tokens,
                    "system": system,
                    "messages": [{"role": "user", "content": f"{prompt}\n\n{path.read_text()}"}],
                },
            }
        )
    client = anthropic.Anthropic()
    batch = client.messages.batches.create(requests=requests)
    while client.messages.batches.retrieve(batch.id).processing_status != "ended":
        time.sleep(pause)
    target.mkdir(exist_ok=True)
    for entry in client.messages.batches.results(batch.id):
        if entry.result.type == "succeeded":
            content = entry.result.message.content
            text = "".join(block.text for block in content if block.type == "text")
            (target / f"{names[entry.custom_id]}.md").write_text(text)


if __name__ == "__main__":
    main()
