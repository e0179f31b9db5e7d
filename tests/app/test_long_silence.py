"""After a day in which nobody looked, one odd answer is still only one."""

import asyncio

from shared.adapters.simulator.faults import Call
from shared.app.poll import poll
from shared.app.reconcile import reconcile
from shared.app.submit import submit
from shared.domain.batch import BatchStatus
from shared.domain.document import DocumentStatus
from tests.app.home import Home


def submitted(home: Home) -> None:
    home.write("a.md", "# A\n")
    home.see()
    asyncio.run(submit(home.deps))


def statuses(home: Home) -> list[BatchStatus]:
    return [batch.status for batch in home.batches()]


def test_one_404_of_the_results_does_not_end_an_old_doubt(home: Home) -> None:
    home.lose_answer()
    submitted(home)
    home.later(hours=26)
    home.fault(Call.RESULTS, status=404)
    asyncio.run(reconcile(home.deps))
    assert statuses(home) == [BatchStatus.IN_DOUBT]
    asyncio.run(home.finish())
    assert home.statuses() == {"a.md": DocumentStatus.REPORTED}
    assert home.requested() == 1


def test_two_404s_of_a_batch_a_day_apart_do_not_make_it_vanish(home: Home) -> None:
    home.fault(Call.RETRIEVE, status=404, times=2)
    submitted(home)
    home.later(minutes=1)
    asyncio.run(poll(home.deps))
    home.later(hours=26)
    asyncio.run(poll(home.deps))
    assert statuses(home) == [BatchStatus.IN_PROGRESS]
    asyncio.run(home.finish())
    assert home.statuses() == {"a.md": DocumentStatus.REPORTED}
