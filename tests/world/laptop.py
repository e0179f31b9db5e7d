"""A world on a laptop: one process at a time drives a job to its end, and is started anew."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from shared.domain.ids import JobName
from tests.world import days
from tests.world import happenings as happens
from tests.world.ending import settled
from tests.world.gate import Gate
from tests.world.handlers import Invocation
from tests.world.runs import Run
from tests.world.weather import CRASHES, Fault
from tests.world.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE = 60_000
"""Calls after which a process that doesn't come to its end never will."""

_OVERSLEPT = 0.5
"""How often a sleep lasts until something is due: a slow batch takes hundreds of them."""


def live_on_laptop(world: World) -> None:
    """One world from its beginning to its end, or to the first broken rule."""
    days.begin(world)
    for _ in range(min(world.weather.steps, world.most_steps)):
        world.provider.arrive()
        if world.runs and world.rng.random() < 0.97:
            world.go_on(world.runs[0])
        else:
            happen(world)
        if world.broken:
            return
    calm(world)


def happen(world: World) -> None:
    """Something that isn't the next call of the process."""
    things: list[tuple[float, Callable[[World], object]]] = [
        (3, happens.put_something),
        (0.2, partial(happens.unless_calm, Fault.SPEND_LIMIT, happens.turn_spend_limit)),
        (0.2, partial(happens.unless_calm, Fault.LOW_CREDIT, happens.turn_credit)),
        (0.2, partial(happens.unless_calm, Fault.TIME_LEAP, happens.leap)),
        (0.2, happens.stranger),
    ]
    if world.runs:
        things.append((0.3, partial(happens.unless_calm, Fault.OUTAGE, happens.outage)))
    else:
        things += [
            (10, start),
            (2, happens.wait),
            (0.5, partial(happens.unless_calm, Fault.RETRY, happens.retry)),
            (0.5, partial(happens.unless_calm, Fault.CANCEL, happens.cancel)),
        ]
    [(_, thing)] = world.rng.choices(things, [weight for weight, _ in things])
    thing(world)


def start(world: World) -> Run:
    """`docmill run`."""
    job = JobName(world.people.jobs[0])

    def work(invocation: Invocation) -> None:
        invocation.drive(job, partial(_sleep, world, invocation.gate))

    return world.start("drive", work)


async def _sleep(world: World, gate: Gate, seconds: float) -> None:
    await asyncio.sleep(0)
    gate.enter("sleep", CRASHES, seconds)
    gate.tell("sleep", timedelta(seconds=seconds))
    world.now += timedelta(seconds=seconds)
    if world.weather.calm or world.rng.random() < _OVERSLEPT:
        world.now = max(world.now, min(happens.moments(world), default=world.now))
    world.provider.arrive()


def calm(world: World) -> None:
    """The faults stop: the process that is running ends, and one more finds nothing left."""
    days.end_faults(world)
    for run in list(world.runs):
        _finish(world, run)
    if not world.broken:
        _finish(world, start(world))
    if not world.broken:
        settled(world)


def _finish(world: World, run: Run) -> None:
    for _ in range(_PATIENCE):
        if run.done or world.broken:
            break
        world.pass_time()
        run.resume()
    else:
        world.stage.rules.blame("in the end everything is settled", f"{run.name} goes on and on")
    if run.done:
        world.end(run)
