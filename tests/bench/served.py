"""The simulator as a process of its own, with answers of a given length: `served.py BYTES`.

It says its address on standard output and ends when its standard input closes.
"""

import sys

from shared.adapters.simulator.server import main_serve


def main() -> None:
    """Serve until the parent's end of standard input closes."""
    main_serve(
        port=0,
        state_dir=None,
        seed=0,
        duration_s=0.0,
        output_bytes=int(sys.argv[1]),
        until_stdin_closes=True,
        announce=lambda address: print(address, flush=True),  # noqa: T201 - the parent reads it
    )


if __name__ == "__main__":
    main()
