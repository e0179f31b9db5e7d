import asyncio
from dataclasses import replace
from datetime import timedelta

from shared.app.groups import open_group
from shared.app.submit import submit
from shared.domain.policy import Policy
from tests.app.home import JOB, Home


def test_a_group_stays_open_while_whoever_opened_it_may_still_write_its_document(
    home: Home,
) -> None:
    policy = Policy(index_lag=timedelta(seconds=60), lease=timedelta(minutes=15))
    home.deps = replace(home.deps, policy=policy)
    open_group(home.store, JOB, "", now=home.now, ready=True)
    home.later(minutes=14)
    asyncio.run(submit(home.deps))
    assert home.store.group(JOB, "") is not None
    home.later(minutes=1)
    asyncio.run(submit(home.deps))
    assert home.store.group(JOB, "") is None


def test_a_home_with_one_process_closes_an_empty_group_at_once(home: Home) -> None:
    open_group(home.store, JOB, "", now=home.now, ready=True)
    asyncio.run(submit(home.deps))
    assert home.store.group(JOB, "") is None
