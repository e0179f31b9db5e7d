"""One command's work on one output: the lock, the state, the provider, the display."""

import asyncio
import json
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import msgspec

from handlers.cli.display import Display, pick
from handlers.cli.faults import Fault
from handlers.cli.simulator_process import simulator_process
from shared.adapters.anthropic_api import AnthropicApi, MissingApiKey
from shared.adapters.builtin import builtin_recipes, catalog
from shared.adapters.folder_blobs import TEMPORARY_PREFIX
from shared.adapters.sqlite_store import SqliteStore
from shared.app.deps import Deps
from shared.app.drive import CredentialsRefused
from shared.app.publish import publish, summary_of
from shared.domain.document import DocumentStatus
from shared.domain.job import Job
from shared.domain.polling import affordable
from shared.domain.recipe import Recipe, RecipeError, parse_recipe
from shared.domain.summary import Summary
from shared.ports.blobs import BlobError
from shared.ports.store import Store, StoreUnavailable, StoreUnusable
from shared.wiring.laptop import (
    JOB,
    OutputUnusable,
    for_laptop,
    locked,
    open_store,
    state_file,
    state_folder,
)
from shared.wiring.settings import InvalidSettings, Settings

DEFAULT_RECIPE = "project-analysis"
LEFT_OPEN = 3
_TEMPORARY = re.compile(re.escape(TEMPORARY_PREFIX) + "[0-9a-f]{16}-[0-9]+")
_REFRESH_ON = frozenset(
    {"taken_in", "batch_submitted", "batch_collected", "batch_settled", "batch_checked"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run was asked for; remembered in the state, so that `retry` needs no arguments."""

    inputs: tuple[str, ...] = ()
    recipe_name: str = ""
    recipe_text: str = ""
    model: str | None = None
    group_by: str | None = None
    poll_interval: float = 60.0
    max_attempts: int | None = None
    simulate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a command works with."""

    out: Path
    deps: Deps
    options: Options
    recipe: Recipe
    display: Display
    as_json: bool

    def summary(self) -> Summary:
        """Where the job stands."""
        return summary_of(self.deps, JOB)


Work = Callable[[Session], Awaitable[int]]
"""What a command does with a session; the answer is its exit status."""


def load_recipe(name: str | None, beside: Path | None, options: Options) -> Options:
    """Find the recipe's text: a file, a built-in's name, or the one beside the documents."""
    builtin = builtin_recipes()
    if name is None and beside is not None:
        name = str(beside)
    name = name or DEFAULT_RECIPE
    if name in builtin:
        return replace(options, recipe_name=name, recipe_text=builtin[name])
    path = Path(name)
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        known = ", ".join(sorted(builtin))
        raise Fault(
            f"no recipe {name}: neither a file nor a built-in ({known}); see `docmill recipes`"
        ) from None
    except UnicodeDecodeError as error:
        raise Fault(f"the recipe {name} is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise Fault(f"the recipe {name} can't be read: {error.strerror}") from None
    return replace(options, recipe_name=path.name, recipe_text=text)


def parse(options: Options) -> Recipe:
    """The recipe with the command's own choices on top. Raises Fault."""
    try:
        recipe = parse_recipe(
            options.recipe_text,
            name=options.recipe_name,
            catalog=catalog(),
            model_override=options.model,
        )
    except RecipeError as error:
        raise Fault(f"{error}{_how_to_change(options.recipe_name)}") from None
    return replace(recipe, group_by=options.group_by) if options.group_by else recipe


def _how_to_change(name: str) -> str:
    """A built-in recipe is not the user's to edit."""
    if name not in builtin_recipes():
        return ""
    return (
        f"; to change this built-in recipe: `docmill recipes show {name} > mine.md`, edit it, and "
        "use `--recipe mine.md`"
    )


def remembered(store: Store) -> Options:
    """What the last run on this output was asked for. Raises Fault when there was none."""
    job = store.job(JOB)
    if job is None or "options" not in job.settings:
        raise Fault("nothing was run here yet; start with `docmill run INPUT --out OUT`")
    found = json.loads(job.settings["options"])
    found["inputs"] = tuple(found["inputs"])
    return Options(**found)


def is_simulated(store: Store) -> bool:
    """Whether the reports here are the simulator's."""
    job = store.job(JOB)
    if job is None or "options" not in job.settings:
        return False
    return bool(json.loads(job.settings["options"])["simulate"])


def remember(store: Store, options: Options) -> None:
    """Save what was asked for. Raises Fault when the output belongs to another provider."""
    job = store.job(JOB) or Job(name=JOB, settings={})
    if store.count(JOB) and is_simulated(store) != options.simulate:
        was, now = ("simulated", "real") if not options.simulate else ("real", "simulated")
        raise Fault(f"this output holds {was} reports and can't take {now} ones; use another --out")
    fields = {name: getattr(options, name) for name in Options.__dataclass_fields__}
    store.swap_job(msgspec.structs.replace(job, settings={"options": json.dumps(fields)}))


def settings_for(*, simulate: bool) -> Settings:
    """What the environment says; of the provider only where it is called. Raises Fault."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not (simulate and name.startswith("ANTHROPIC_"))
    }
    try:
        settings = Settings.from_env(env)
    except InvalidSettings as error:
        raise Fault(str(error)) from None
    if not simulate and not settings.api_key:
        raise Fault(
            "ANTHROPIC_API_KEY is not set; set it, or try docmill without cost with --simulate"
        )
    return settings


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
    except CredentialsRefused as error:
        raise Fault(
            f"the provider refused the API key: {error}; set ANTHROPIC_API_KEY and run the same "
            "command again"
        ) from None
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
    asked: Callable[[Store], Options],
    begin: Callable[[Options], None] = lambda _: None,
) -> Iterator[Callable[[Work], int]]:
    """Hold the output, for asynchronous work on it; everything is let go in the end."""
    with translated_errors(out), ExitStack() as stack:
        stack.enter_context(locked(out))
        stack.enter_context(_tidied(out))
        store = open_store(out)
        stack.callback(store.close)
        options = asked(store)
        settings = settings_for(simulate=options.simulate)
        recipe = parse(options)
        begin(options)
        display = stack.enter_context(pick(as_json=as_json, simulated=options.simulate))
        base_url, key = settings.base_url, settings.api_key
        if options.simulate:
            base_url = stack.enter_context(simulator_process(state_folder(out) / "simulator"))
            key = "simulated"

        def run(work: Work) -> int:
            async def main() -> int:
                async with AnthropicApi(api_key=key or None, base_url=base_url or None) as api:
                    return await work(
                        _assemble(
                            out=out,
                            store=store,
                            api=api,
                            recipe=recipe,
                            settings=settings,
                            options=options,
                            display=display,
                            as_json=as_json,
                        )
                    )

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
    as_json: bool,
) -> Session:
    shown_at, took = float("-inf"), 0.0

    def emit(event: str, /, **facts: object) -> None:
        nonlocal shown_at, took
        display.tell(event, facts)
        began = time.monotonic()
        if event in _REFRESH_ON and affordable(ago=began - shown_at, took=took):
            display.refresh(summary_of(deps, JOB))
            shown_at = time.monotonic()
            took = shown_at - began

    deps = for_laptop(
        out,
        store=store,
        api=api,
        recipe=recipe,
        settings=settings,
        poll_interval=timedelta(seconds=options.poll_interval),
        max_attempts=options.max_attempts,
        emit=emit,
    )
    return Session(
        out=out, deps=deps, options=options, recipe=recipe, display=display, as_json=as_json
    )


def finish(work: Session) -> int:
    """Publish, show the end, and say the exit status it comes to."""
    summary = publish(work.deps, JOB)
    work.display.finish(summary, out=str(work.out))
    return exit_status(summary)


def exit_status(summary: Summary) -> int:
    """0: every document is reported; 1: some failed; 3: some are still open."""
    if summary.open:
        return LEFT_OPEN
    return 1 if summary.documents[DocumentStatus.FAILED] else 0
