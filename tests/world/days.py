"""What happens in a world: first anything, then calm, and then all must be settled."""

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from shared.domain.batch import LIVE, BatchStatus
from shared.domain.group import Group
from shared.domain.ids import BatchId
from tests.world import happenings as happens
from tests.world.ending import settled
from tests.world.handlers import Invocation
from tests.world.happenings import AT_ONCE, LONGEST_WAIT, moments, wait
from tests.world.runs import Run
from tests.world.weather import Fault
from tests.world.world import Message, World

if TYPE_CHECKING:
    from collections.abc import Callable

_TICKS = ("submit", "poll", "reconcile")
_ROUNDS = 150
"""Ticks after which a calm world must be settled; most need less than ten."""

_BRISK = 30
_SOON, _SLOW = timedelta(minutes=1), timedelta(minutes=30)
"""How often timers fire then; a provider's day passes in few rounds."""

_ALL_TIMERS = 10
"""Every so many rounds all fire; in the others those that have something to do, to save time."""

_USELESS = 0.15

_REDELIVERED = 30.0


def live(world: World) -> None:
    """One world from its beginning to its end, or to the first broken rule."""
    begin(world)
    for _ in range(min(world.weather.steps, world.most_steps)):
        world.provider.arrive()
        if world.alone is not None:
            world.go_on(world.alone)
        elif world.runs and world.rng.random() < 0.93:
            world.go_on(world.rng.choice(world.runs))
        else:
            happen(world)
        if world.broken:
            return
    calm(world)


def begin(world: World) -> None:
    """Who is there first: some documents, and mostly their recipe."""
    people, rng = world.people, world.rng
    for job in people.jobs:
        if world.on_laptop or rng.random() < 0.8:
            people.put_recipe(job, usable=world.on_laptop or rng.random() < 0.9)
    for _ in range(rng.randint(1, 5)):
        people.put_new()
    if rng.random() < 0.4:
        people.put_manifest()
    if rng.random() < 0.3:
        people.put_copies()


def happen(world: World) -> None:
    """Something that isn't the next call of a run."""
    things: list[tuple[float, Callable[[World], None]]] = [
        (6, deliver),
        (5, tick),
        (1.2, happens.put_something),
        (2, wait),
        (0.1, partial(happens.unless_calm, Fault.SPEND_LIMIT, happens.turn_spend_limit)),
        (0.1, partial(happens.unless_calm, Fault.LOW_CREDIT, happens.turn_credit)),
        (0.1, partial(happens.unless_calm, Fault.TIME_LEAP, happens.leap)),
        (0.1, partial(happens.unless_calm, Fault.RETRY, happens.retry)),
        (0.1, partial(happens.unless_calm, Fault.CANCEL, happens.cancel)),
        (0.1, partial(happens.unless_calm, Fault.CANCEL, happens.cancel_beside)),
        (0.1, partial(happens.unless_calm, Fault.OUTAGE, happens.outage)),
        (0.1, happens.stranger),
    ]
    weights = [weight for weight, _ in things]
    [(_, thing)] = world.rng.choices(things, weights)
    thing(world)


def deliver(world: World) -> None:
    """A message, or some, go to a function; those it failed on come back."""
    due = [message for message in world.queue if message.due <= world.now]
    if not due:
        wait(world)
    if not due or len(world.runs) >= AT_ONCE:
        return
    first = world.rng.choice(due)
    world.queue.remove(first)
    if first.kind == "collect":
        start_collect(world, first)
        return
    more = [message for message in due if message is not first and message.kind == first.kind]
    several = [first, *more[: world.rng.randint(0, 2)]]
    for message in several[1:]:
        world.queue.remove(message)
    start_intake(world, several)


def start_collect(world: World, message: Message) -> Run:
    """The queue calls collect."""

    def back(run: Run) -> None:
        if run.crashed or run.error is not None:
            world.send_back([message], _REDELIVERED)

    return world.start(
        "collect", lambda invocation: invocation.collect(BatchId(message.text)), back=back
    )


def start_intake(world: World, messages: list[Message]) -> Run:
    """The queue calls intake."""
    failed: list[str] = []

    def work(invocation: Invocation) -> None:
        invocation.intake([message.text for message in messages], failed)

    def back(run: Run) -> None:
        again = run.crashed or run.error is not None
        world.send_back([m for m in messages if again or m.text in failed], _REDELIVERED)

    return world.start("intake", work, back=back)


def tick(world: World) -> None:
    """A timer fires, mostly one that has something to do; the one before may still be running."""
    if len(world.runs) >= AT_ONCE:
        return
    kinds = useful(world)
    if not kinds or world.rng.random() < _USELESS:
        start_tick(world, world.rng.choice(_TICKS))
    else:
        start_tick(world, world.rng.choice(kinds))


def useful(world: World) -> list[str]:
    """Which timers would find something, as far as can be seen from here."""
    mirror, now = world.stage.mirror, world.now
    due = {batch.status for batch in mirror.batches.values() if batch.next_at <= now} & set(LIVE)
    kinds = []
    is_open = any(_may_be_ripe(world, group) for group in mirror.groups.values())
    if is_open or BatchStatus.PLANNED in due:
        kinds.append("submit")
    if BatchStatus.IN_PROGRESS in due:
        kinds.append("poll")
    is_behind = any(job.stale for job in mirror.jobs.values())
    if is_behind or due - {BatchStatus.IN_PROGRESS, BatchStatus.PLANNED}:
        kinds.append("reconcile")
    return kinds


def _may_be_ripe(world: World, group: Group) -> bool:
    return (
        (group.ready and not group.drained)
        or world.now - group.since >= LONGEST_WAIT
        or world.now - group.touched >= world.policy.group_kept
    )


def start_tick(world: World, kind: str) -> Run:
    """A timer's function."""
    works: dict[str, Callable[[Invocation], None]] = {
        "submit": Invocation.submit,
        "poll": Invocation.poll,
        "reconcile": Invocation.reconcile,
    }
    return world.start(kind, works[kind])


def calm(world: World) -> None:
    """The faults stop: messages arrive, timers fire, and all must come to its end."""
    end_faults(world)
    for run in list(world.runs):
        finish(world, run)
    for job in world.people.jobs:
        world.people.put_recipe(job)
    for number in range(_ROUNDS):
        if world.broken:
            return
        world.provider.arrive()
        for message in [m for m in world.queue if m.due <= world.now]:
            world.queue.remove(message)
            one = start_collect(world, message) if message.kind == "collect" else None
            finish(world, one or start_intake(world, [message]))
        for kind in _TICKS if number % _ALL_TIMERS == 0 else useful(world):
            finish(world, start_tick(world, kind))
        if number and not world.queue and is_done(world):
            break
        world.now = next_moment(world, _SOON if number < _BRISK else _SLOW)
    if not world.broken:
        settled(world)


def end_faults(world: World) -> None:
    """From now on nothing goes wrong any more."""
    world.weather.calm = True
    faults = world.provider.simulator.faults
    faults.spend_limit = faults.out_of_credit = False
    world.tell("world", "is calm from now on")


def finish(world: World, run: Run) -> None:
    """Let one run go on to its end, alone."""
    while not run.done and not world.broken:
        world.pass_time()
        run.resume()
    if run.done:
        world.end(run)


def is_done(world: World) -> bool:
    """Whether nothing is left to wait for."""
    mirror = world.stage.mirror
    return (
        not world.provider.coming
        and not mirror.groups
        and all(batch.status not in LIVE for batch in mirror.batches.values())
        and not any(job.stale for job in mirror.jobs.values())
    )


def next_moment(world: World, least: timedelta) -> datetime:
    """When something is due next, and at least so much later."""
    soonest = world.now + least
    return max(min(moments(world), default=soonest), soonest) + timedelta(seconds=1)
