"""One command's work on one output: the lock, the state, the provider, the display."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from handlers.cli.display import Display, pick
from handlers.cli.faults import Fault
from handlers.cli.memory import Asked
from handlers.cli.options import Options, parse, settings_for
from handlers.cli.progress import Progress
from handlers.cli.provider import provider_notes
from handlers.cli.simulator_process import simulator_process
from shared.adapters.anthropic_api import AnthropicApi, MissingApiKey
from shared.adapters.folder_blobs import TEMPORARY_PREFIX
from shared.adapters.sqlite_store import SqliteStore
from shared.app.deps import Deps
from shared.app.drive import AccessRefused
from shared.app.publish import publish, summary_of
from shared.domain.document import DocumentStatus
from shared.domain.recipe import Recipe
from shared.domain.summary import Summary
from shared.ports.blobs import BlobError
from shared.ports.store import Store, StoreUnavailable, StoreUnusable
from shared.wiring.laptop import (
    JOB,
    OutputUnusable,
    check_tables,
    for_laptop,
    locked,
    open_store,
    state_file,
    state_folder,
)
from shared.wiring.settings import Settings

LEFT_OPEN = 3
_TEMPORARY = re.compile(re.escape(TEMPORARY_PREFIX) + "[0-9a-f]{16}-[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a command works with."""

    out: Path
    deps: Deps
    options: Options
    settings: Settings
    recipe: Recipe
    display: Display
    progress: Progress

    def summary(self) -> Summary:
        """Where the job stands."""
        return summary_of(self.deps, JOB)


Work = Callable[[Session], Awaitable[int]]
"""What a command does with a session; the answer is its exit status."""


@contextmanager
def translated_errors(out: Path | None = None) -> Iterator[None]:
    """Turn what a user can mend into a Fault of one line."""
    try:
        yield
    except (
        OutputUnusable,
        StoreUnusable,
        StoreUnavailable,
        MissingApiKey,
    ) as error:
        raise Fault(str(error)) from None
    except BlobError as error:
        raise Fault(f"{error.message}; run the same command again to go on") from None
    except AccessRefused as error:
        raise Fault(f"{error}; then run the same command again") from None
    except BrokenPipeError:
        raise
    except OSError as error:
        where = error.filename or out or "the output"
        raise Fault(
            f"{where}: {error.strerror or error}; nothing is lost, run the same command again "
            "once that is mended"
        ) from None


def existing_output(out: Path) -> None:
    """Raise Fault unless a run has been here."""
    if not state_file(out).is_file():
        raise Fault(f"{out} holds no docmill state; start with `docmill run INPUT --out {out}`")


@contextmanager
def session(
    out: Path,
    *,
    as_json: bool,
    asked: Callable[[Store], Asked],
    begin: Callable[[Asked], None] = lambda _: None,
) -> Iterator[Callable[[Work], int]]:
    """Hold the output, for asynchronous work on it; everything is let go in the end."""
    with translated_errors(out), ExitStack() as stack:
        stack.enter_context(locked(out))
        stack.enter_context(_tidied(out))
        store = open_store(out)
        stack.callback(store.close)
        found = asked(store)
        options = found.options
        settings = settings_for(simulate=options.simulate)
        recipe = parse(options)
        known = store.job(JOB)
        if recipe.form.fields and not (known and known.tables):
            check_tables(out)
        if not options.simulate:
            found = replace(found, notes=(*found.notes, *provider_notes(store, settings)))
        begin(found)
        display = stack.enter_context(pick(as_json=as_json, simulated=options.simulate))
        base_url, key = settings.base_url, settings.api_key
        if options.simulate:
            base_url = stack.enter_context(simulator_process(state_folder(out) / "simulator"))
            key = "simulated"

        def run(work: Work) -> int:
            async def main() -> int:
                async with AnthropicApi(api_key=key or None, base_url=base_url or None) as api:
                    assembled = _assemble(
                        out=out,
                        store=store,
                        api=api,
                        recipe=recipe,
                        settings=settings,
                        options=options,
                        display=display,
                    )
                    return await _watched(assembled, work)

            return asyncio.run(main())

        yield run


@contextmanager
def _tidied(out: Path) -> Iterator[None]:
    """Remove what a killed process left half-written; the output is walked only after such an end.

    Needs the lock: another process's temporary files are not ours.
    """
    running = state_folder(out) / "running"
    if running.exists():
        for folder, _, names in os.walk(out):
            for name in filter(_TEMPORARY.fullmatch, names):
                Path(folder, name).unlink(missing_ok=True)
    running.touch()
    try:
        yield
    finally:
        running.unlink(missing_ok=True)


def _assemble(
    *,
    out: Path,
    store: SqliteStore,
    api: AnthropicApi,
    recipe: Recipe,
    settings: Settings,
    options: Options,
    display: Display,
) -> Session:
    progress = Progress(display, lambda: summary_of(deps, JOB))
    deps = for_laptop(
        out,
        inputs=[Path(text) for text in options.inputs],
        store=store,
        api=api,
        recipe=recipe,
        settings=settings,
        poll_interval=timedelta(seconds=options.poll_interval),
        max_attempts=options.max_attempts,
        emit=progress.emit,
    )
    return Session(
        out=out,
        deps=deps,
        options=options,
        settings=settings,
        recipe=recipe,
        display=display,
        progress=progress,
    )


async def _watched(session: Session, work: Work) -> int:
    """Do the work while the display is kept up with it."""
    session.deps.emit(
        "started",
        recipe=session.recipe.name,
        model=session.recipe.model,
        out=str(session.out),
        simulated=session.options.simulate,
    )
    watching = asyncio.create_task(session.progress.keep_up())
    try:
        return await work(session)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)  # emitting meets its error as well


def finish(work: Session) -> int:
    """Publish, show the end, and say the exit status it comes to."""
    summary = publish(work.deps, JOB)
    status = exit_status(summary)
    work.display.finish(summary, out=str(work.out), status=status)
    return status


def exit_status(summary: Summary) -> int:
    """0: every document is reported; 1: some failed; 3: some are still open."""
    if summary.open:
        return LEFT_OPEN
    return 1 if summary.documents[DocumentStatus.FAILED] else 0
