"""A run in a mirror: the same use cases on a copy of the state, and nobody to send to."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from handlers.cli.options import Options, settings_for
from shared.adapters.anthropic_api import AnthropicApi
from shared.adapters.sqlite_store import SqliteStore
from shared.app.deps import Deps
from shared.domain.recipe import Recipe
from shared.wiring.laptop import for_laptop, state_file


@contextmanager
def rehearsal(out: Path, options: Options, recipe: Recipe) -> Iterator[Deps]:
    """What a run on this output works with; what is done to its state is gone afterwards.

    The output needn't be there, nor a key: whoever calls the provider here has a bug.
    """
    store = SqliteStore.rehearsal(state_file(out))
    try:
        yield for_laptop(
            out,
            inputs=[Path(text) for text in options.inputs],
            store=store,
            api=AnthropicApi(),
            recipe=recipe,
            settings=settings_for(simulate=True),
            poll_interval=timedelta(seconds=options.poll_interval),
            max_attempts=options.max_attempts,
        )
    finally:
        store.close()
