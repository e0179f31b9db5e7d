"""Many worlds, on every core; one by its number, with its story."""

import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context

from tests.world.days import live
from tests.world.laptop import live_on_laptop
from tests.world.pages import small_pages
from tests.world.weather import Fault
from tests.world.world import World

_CHUNK = 25


@dataclass(slots=True, kw_only=True)
class Result:
    """What one world came to, or many of them together. `broken`: seed, rule and facts."""

    seeds: int = 0
    laptops: int = 0
    calls: int = 0
    runs: int = 0
    documents: Counter[str] = field(default_factory=Counter)
    batches: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    faults: Counter[Fault] = field(default_factory=Counter)
    escaped: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, other: "Result") -> None:
        """Add another's numbers to these."""
        self.seeds += other.seeds
        self.laptops += other.laptops
        self.calls += other.calls
        self.runs += other.runs
        self.documents += other.documents
        self.batches += other.batches
        self.requests += other.requests
        self.faults += other.faults
        self.escaped += other.escaped
        self.broken += other.broken


def lived(world: World) -> Result:
    """Let a world live; a failure of the world itself counts as a broken rule too."""
    broken: list[tuple[int, str, str]] = []
    with small_pages():
        try:
            (live_on_laptop if world.on_laptop else live)(world)
        except Exception:  # noqa: BLE001 - told with its seed, so that it can be replayed
            world.tell("world", "failed", traceback.format_exc())
            broken.append((world.seed, "the world itself works", traceback.format_exc(limit=-3)))
        finally:
            world.home.store.close()
    if world.broken is not None:
        broken.append((world.seed, world.broken.rule, world.broken.facts))
    mirror = world.stage.mirror
    return Result(
        seeds=1,
        laptops=int(world.on_laptop),
        calls=world.stage.calls,
        runs=world.begun,
        documents=Counter(document.status.value for document in mirror.documents.values()),
        batches=Counter(batch.status.value for batch in mirror.batches.values()),
        requests=len(world.stage.ledger.requests),
        faults=world.weather.counts,
        escaped=Counter(world.escaped),
        broken=broken,
    )


def run_seeds(seeds: Iterable[int]) -> Result:
    """Worlds one after the other."""
    total = Result()
    for seed in seeds:
        total.add(lived(World(seed)))
    return total


def run_on_all_cores(
    seeds: range, run: Callable[[Iterable[int]], Result] = run_seeds
) -> Iterator[Result]:
    """The same on every core; results as they come."""
    numbers = iter(seeds)
    chunks = iter(lambda: list(islice(numbers, _CHUNK)), [])
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        yield from pool.map(run, chunks)


def told(seed: int) -> tuple[str, Result]:
    """One world's story, and what it came to."""
    world = World(seed, wanted=True)
    result = lived(world)
    lines = [*world.stage.story.lines, ""]
    for _, rule, facts in result.broken:
        lines += [f"BROKEN: {rule}", f"  {world.stage.story.renamed(facts)}"]
    if not result.broken:
        lines.append("Every rule held.")
    names = [f"{short} {name}" for name, short in world.stage.story.names.items()]
    return "\n".join([*lines, "", "Names: " + ", ".join(names)]), result
