from shared.adapters.simulator.faults import Call
from shared.domain.batch import BatchStatus
from tests.app.home import Home
from tests.app.jobs import REPORTED, fill, only, run


def test_a_404_just_after_create_is_not_a_loss(home: Home) -> None:
    home.simulator.faults.not_found_s = 45
    fill(home)
    home.see()
    run(home)
    assert only(home, REPORTED)


def test_a_batch_that_stays_unknown_fails_by_name_after_its_day(home: Home) -> None:
    fill(home, 1)
    home.see()
    home.fault(Call.RETRIEVE, status=404, times=100_000)
    run(home)
    failure = home.documents()["d0.md"].failure
    assert failure is not None
    assert (failure.type, failure.retryable) == ("batch_not_found", True)
    assert [b.status for b in home.batches()] == [BatchStatus.FAILED]
