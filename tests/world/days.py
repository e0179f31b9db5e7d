"""What happens in a world: first anything, then calm, and then all must be settled."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from shared.domain.batch import LIVE, BatchStatus
from shared.domain.group import Group
from shared.domain.ids import BatchId, JobName
from tests.world.ending import settled
from tests.world.handlers import Invocation
from tests.world.rules import UNANSWERED
from tests.world.runs import Run
from tests.world.weather import Fault
from tests.world.world import Message, World

_TICKS = ("submit", "poll", "reconcile")
_AT_ONCE = 4
_ROUNDS = 150
"""Ticks after which a calm world must be settled; most need less than ten."""

_BRISK = 30
_SOON, _SLOW = timedelta(minutes=1), timedelta(minutes=30)
"""How often timers fire then; a provider's day passes in few rounds."""

_LONGEST_WAIT = timedelta(minutes=10)
"""How long a recipe lets a group wait (`tests.world.people`)."""

_ALL_TIMERS = 10
"""Every so many rounds all fire; in the others those that have something to do, to save time."""

_USELESS = 0.15
_TO_THE_POINT = 0.7

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


def happen(world: World) -> None:
    """Something that isn't the next call of a run."""
    things: list[tuple[float, Callable[[World], None]]] = [
        (6, deliver),
        (5, tick),
        (1.2, put_something),
        (2, wait),
        (0.1, partial(unless_calm, Fault.SPEND_LIMIT, turn_spend_limit)),
        (0.1, partial(unless_calm, Fault.LOW_CREDIT, turn_credit)),
        (0.1, partial(unless_calm, Fault.TIME_LEAP, leap)),
        (0.1, partial(unless_calm, Fault.RETRY, retry)),
        (0.1, partial(unless_calm, Fault.CANCEL, cancel)),
        (0.1, partial(unless_calm, Fault.OUTAGE, outage)),
        (0.1, stranger),
    ]
    weights = [weight for weight, _ in things]
    [(_, thing)] = world.rng.choices(things, weights)
    thing(world)


def unless_calm(fault: Fault, thing: Callable[[World], None], world: World) -> None:
    """Where this weather is."""
    if fault in world.weather.rates:
        thing(world)


def deliver(world: World) -> None:
    """A message, or some, go to a function; those it failed on come back."""
    due = [message for message in world.queue if message.due <= world.now]
    if not due:
        wait(world)
    if not due or len(world.runs) >= _AT_ONCE:
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
    if len(world.runs) >= _AT_ONCE:
        return
    kinds = useful(world)
    if not kinds or world.rng.random() < _USELESS:
        start_tick(world, world.rng.choice(_TICKS))
    else:
        start_tick(world, world.rng.choice(kinds))


def useful(world: World) -> list[str]:
    """Which timers would find something, as far as can be seen from here."""
    mirror, now = world.stage.mirror, world.now
    due = {batch.status for batch in mirror.batches.values() if batch.next_at <= now} & LIVE
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
        or world.now - group.since >= _LONGEST_WAIT
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


def put_something(world: World) -> None:
    """People do what they do."""
    people, rng = world.people, world.rng
    things: list[tuple[float, Callable[[], None]]] = [
        (3, people.put_new),
        (3, people.put_again),
        (3, people.put_changed),
        (1, people.delete),
        (1, people.put_ready),
        (1, people.put_manifest),
        (0.3, people.put_empty),
        (0.7, partial(put_recipe, world)),
    ]
    [(_, thing)] = rng.choices(things, [weight for weight, _ in things])
    thing()


def put_recipe(world: World) -> None:
    """Another recipe, or a broken one, which a laptop's command refuses at once."""
    usable = world.on_laptop or world.rng.random() < 0.8
    world.people.put_recipe(world.rng.choice(world.people.jobs), usable=usable)


def wait(world: World) -> None:
    """Time passes; long only when nobody is in the middle of something."""
    if world.runs:
        world.now += timedelta(seconds=world.rng.uniform(0, 2))
    elif world.rng.random() < _TO_THE_POINT:
        world.now = max(world.now, min(moments(world), default=world.now))
    else:
        most = world.rng.choice((5.0, 60.0, 600.0, 1200.0))
        world.now += timedelta(seconds=world.rng.uniform(0, most))


def leap(world: World) -> None:
    """Hours in which no timer fires: nobody is alive after them."""
    if not world.runs or world.on_laptop:
        batches = world.stage.mirror.batches.values()
        # A doubt whose only proof is no longer kept never ends: a known gap.
        doubt = any(batch.status in UNANSWERED for batch in batches)
        hours = world.rng.choice((1, 12, 26, 26, 26 if doubt else 31 * 24))
        world.weather.counts[Fault.TIME_LEAP] += 1
        world.now += timedelta(hours=hours)
        world.tell("time", "leaps", f"{hours} hours", fault=Fault.TIME_LEAP)


def turn_spend_limit(world: World) -> None:
    """It is reached, or lifted."""
    faults = world.provider.simulator.faults
    faults.spend_limit = not faults.spend_limit
    world.weather.counts[Fault.SPEND_LIMIT] += faults.spend_limit
    world.tell("provider", "spend limit", "reached" if faults.spend_limit else "lifted")


def turn_credit(world: World) -> None:
    """It is empty, or filled up."""
    faults = world.provider.simulator.faults
    faults.out_of_credit = not faults.out_of_credit
    world.weather.counts[Fault.LOW_CREDIT] += faults.out_of_credit
    world.tell("provider", "credit", "empty" if faults.out_of_credit else "filled up")


def retry(world: World) -> None:
    """A person has everything that failed tried again."""
    if len(world.runs) < _AT_ONCE:
        job = JobName(world.rng.choice(world.people.jobs))
        world.weather.counts[Fault.RETRY] += 1
        world.start("retry", lambda invocation: invocation.retry(job))


def cancel(world: World) -> None:
    """A person cancels a job, with a command that only works while no other process does."""
    if not world.runs:
        job = JobName(world.rng.choice(world.people.jobs))
        world.weather.counts[Fault.CANCEL] += 1
        world.alone = world.start("cancel", lambda invocation: invocation.cancel(job))


def outage(world: World) -> None:
    """All processes die at once."""
    for run in list(world.runs):
        world.kill(run, Fault.OUTAGE)
        world.end(run)


def stranger(world: World) -> None:
    """Another program in the same workspace creates a batch."""
    world.provider.stranger(world.rng.randint(1, 3))


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


def moments(world: World) -> list[datetime]:
    """When something is due that isn't yet."""
    mirror = world.stage.mirror
    times = [batch.next_at for batch in mirror.batches.values() if batch.status in LIVE]
    times += [group.since + _LONGEST_WAIT for group in mirror.groups.values()]
    times += [group.touched + world.policy.group_kept for group in mirror.groups.values()]
    times += [message.due for message in world.queue]
    return [moment for moment in times if moment > world.now]
