import asyncio
from datetime import timedelta

from shared.app.poll import poll
from shared.app.reconcile import reconcile
from shared.app.submit import submit
from tests.app.home import Home
from tests.app.jobs import fill


def test_reconciling_stops_when_its_time_is_over(home: Home) -> None:
    fill(home)
    home.see()
    home.lose_answer()
    asyncio.run(submit(home.deps))
    home.later(minutes=5)
    assert asyncio.run(reconcile(home.deps, until=home.now)).adopted == 0
    assert asyncio.run(reconcile(home.deps, until=home.now + timedelta(seconds=9))).adopted == 1


def test_a_message_that_is_lost_is_made_up_for(home: Home) -> None:
    fill(home, 3)
    home.see()
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    ended = asyncio.run(poll(home.deps)).ended
    assert asyncio.run(reconcile(home.deps)).to_collect == ended
