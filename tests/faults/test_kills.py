"""The real process, killed for real; `make faults` does it 100 times, and then with trouble."""

from pathlib import Path

from tests.faults.kills import run_campaign, table

_KILLS = 12


def test_a_run_killed_at_random_moments_reports_all_and_pays_once(tmp_path: Path) -> None:
    found = run_campaign(tmp_path, _KILLS, seed=5, troubled=True)
    print(table(found))  # noqa: T201 - shown when it fails, and by -s
    assert found.kills == _KILLS
