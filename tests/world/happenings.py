"""What happens in a world that isn't docmill's doing: people, time, money, power cuts."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from shared.domain.batch import LIVE
from shared.domain.ids import JobName
from tests.world.weather import Fault
from tests.world.world import World

AT_ONCE = 4
"""How many processes run at the same time."""

LONGEST_WAIT = timedelta(minutes=10)
"""How long a recipe lets a group wait (`tests.world.people`)."""

_TO_THE_POINT = 0.7
"""How often a wait ends when something is due."""


def unless_calm(fault: Fault, thing: Callable[[World], None], world: World) -> None:
    """Where this weather is."""
    if fault in world.weather.rates:
        thing(world)


def put_something(world: World) -> None:
    """People do what they do."""
    people, rng = world.people, world.rng
    things: list[tuple[float, Callable[[], None]]] = [
        (3, people.put_new),
        (3, people.put_again),
        (3, people.put_changed),
        (0.7, people.put_copies),
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
        hours = world.rng.choice((1, 12, 26, 26, 31 * 24))
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
    if len(world.runs) < AT_ONCE:
        job = JobName(world.rng.choice(world.people.jobs))
        world.weather.counts[Fault.RETRY] += 1
        world.start("retry", lambda invocation: invocation.retry(job))


def cancel(world: World) -> None:
    """A person cancels a job, with a command that only works while no other process does."""
    if not world.runs:
        job = JobName(world.rng.choice(world.people.jobs))
        world.weather.counts[Fault.CANCEL] += 1
        world.alone = world.start("cancel", lambda invocation: invocation.cancel(job))


def cancel_beside(world: World) -> None:
    """A person cancels a job of a stack, whose functions go on meanwhile; one round of it."""
    if len(world.runs) < AT_ONCE:
        job = JobName(world.rng.choice(world.people.jobs))
        world.weather.counts[Fault.CANCEL] += 1
        world.start("cancel", lambda invocation: invocation.cancel_beside(job))


def outage(world: World) -> None:
    """All processes die at once."""
    for run in list(world.runs):
        world.kill(run, Fault.OUTAGE)
        world.end(run)


def stranger(world: World) -> None:
    """Another program in the same workspace creates a batch."""
    world.provider.stranger(world.rng.randint(1, 3))


def moments(world: World) -> list[datetime]:
    """When something is due that isn't yet."""
    mirror = world.stage.mirror
    times = [batch.next_at for batch in mirror.batches.values() if batch.status in LIVE]
    times += [group.since + LONGEST_WAIT for group in mirror.groups.values()]
    times += [group.touched + world.policy.group_kept for group in mirror.groups.values()]
    times += [message.due for message in world.queue]
    return [moment for moment in times if moment > world.now]
