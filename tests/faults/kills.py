"""One job, killed again and again at random moments, with work coming in between; then a finish."""

import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.documents import GROUPS, RECIPE, write
from tests.faults.phases import Phase, phase_of, read_state
from tests.faults.provider import Served, served
from tests.faults.watched import MOMENTS, NOTHING_TO_DO, Moment, watched
from tests.handlers.cli.command import Docmill, failures, reports, summary

_SIZES = (200, 3_000, 60_000)
_MOST_STEPS_PER_KILL = 3
_QUICK_S, _SLOW_S = 0.4, 5.0
"""How long batches take. Slow ones outlast the start of the next run, which then finds them under
way and in doubt; runs that are to get to their results have quick ones."""

_TROUBLES: tuple[tuple[str, list[dict[str, object]]], ...] = (
    ("answer to create lost", [{"call": "create", "cut": "after", "rate": 0.5}]),
    ("create never arrives", [{"call": "create", "cut": "before", "rate": 0.5}]),
    ("create taken and answered 500", [{"call": "create", "status": 500, "after_effect": True}]),
    ("create answered 529", [{"call": "create", "status": 529, "retry_after": "0"}]),
    ("results cut in a line", [{"call": "results", "cut": "mid_line", "lines": 5, "times": 2}]),
    ("results cut at a line", [{"call": "results", "cut": "line_end", "lines": 5, "times": 2}]),
    ("looks answered 500", [{"call": "retrieve", "status": 500, "times": 3}]),
)
_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@dataclass(slots=True, kw_only=True)
class Campaign:
    """What came of it. `versions` is what lies in the input: each document's last version."""

    seed: int
    folder: Path
    troubled: bool = False
    versions: dict[str, int] = field(default_factory=dict)
    phases: Counter[Phase] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    signals: Counter[str] = field(default_factory=Counter)
    ended_before: int = 0
    is_settled: bool = False
    adopted: int = 0
    released: int = 0
    seconds: float = 0.0
    requests: int = 0
    batches: int = 0
    reported_on_the_way: int = 0

    @property
    def kills(self) -> int:
        """How often it was killed."""
        return sum(self.phases.values())

    @property
    def out(self) -> Path:
        """Where the reports go."""
        return self.folder / "out"

    @property
    def words(self) -> tuple[object, ...]:
        """The command, always the same."""
        recipe = self.folder / "recipe.md"
        where = ("run", self.folder / "in", "--out", self.out, "--recipe", recipe)
        return (*where, "--poll-interval", "0.05", "--yes")

    def drop(self, draw: random.Random) -> None:
        """New documents in some groups, and new versions of old ones."""
        for group in draw.sample(GROUPS, 3):
            for _ in range(draw.randint(4, 16)):
                path = f"{group}/doc {len(self.versions):04}.txt"
                self.versions[path] = 1
                write(self.folder / "in", path, 1, size=draw.choice(_SIZES))
        for path in draw.sample(sorted(self.versions), 2):
            self.versions[path] += 1
            write(self.folder / "in", path, self.versions[path], size=draw.choice(_SIZES))


def run_campaign(folder: Path, kills: int, *, seed: int = 1, troubled: bool = False) -> Campaign:
    """Kill as often as asked, finish, and check. Raises AssertionError with what was broken.

    With `troubled`, the provider's answers are lost, cut or errors too, and signals that ask
    kindly come as well.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.md").write_text(RECIPE)
    draw = random.Random(seed)
    found = Campaign(seed=seed, folder=folder, troubled=troubled)
    begun = time.monotonic()
    with served(folder / "provider", output_bytes=200_000) as provider:
        docmill = Docmill(
            {
                "ANTHROPIC_API_KEY": "test",
                "ANTHROPIC_BASE_URL": provider.address,
                "DOCMILL_DOUBT_GRACE_S": "0.3",
                "DOCMILL_MAX_BATCH_REQUESTS": "25",
            }
        )
        for moment in _moments(kills, draw):
            if found.kills >= kills:
                break
            if not found.is_settled:
                found.drop(draw)
            chosen = NOTHING_TO_DO if found.is_settled else moment
            _kill(found, docmill, provider, chosen, draw)
        assert found.kills == kills, f"only {found.kills} kills: the runs ended before"
        found.reported_on_the_way = len(reports(found.out))
        _finish(found, docmill, provider)
        found.requests = len(provider.ledger())
        found.batches = len({taken.batch for taken in provider.ledger()})
    found.seconds = time.monotonic() - begun
    return found


def _moments(kills: int, draw: random.Random) -> list[Moment]:
    """Every moment as often as every other, in a random order."""
    moments: list[Moment] = []
    while len(moments) < kills * _MOST_STEPS_PER_KILL:
        moments += draw.sample(MOMENTS, len(MOMENTS))
    return moments


def _kill(
    found: Campaign, docmill: Docmill, provider: Served, moment: Moment, draw: random.Random
) -> None:
    duration = draw.choice((_QUICK_S, _SLOW_S)) if moment.early else _QUICK_S
    provider.pace(before_s=0.08, answer_s=0.08, line_s=0.004, duration_s=duration)
    number = signal.SIGKILL
    if found.troubled:
        number = draw.choice(_SIGNALS)
        name, script = draw.choice(_TROUBLES)
        found.troubles[name] += 1
        provider.faults(script=script)
    with watched(docmill, provider, found.out, found.words) as run:
        if not moment.come(run, draw):
            found.ended_before += 1
            found.is_settled = not found.is_settled
            assert run.process.wait(10) == 0, run.events[-3:]
            return
        run.process.send_signal(number)
        run.process.wait(10)
    found.is_settled = False
    found.signals[number.name] += 1
    found.phases[phase_of(found.out, run)] += 1
    found.moments[moment.name] += 1
    found.adopted += run.told("batch_adopted")
    found.released += run.told("batch_released")
    check_paid(found, provider)


def _finish(found: Campaign, docmill: Docmill, provider: Served) -> None:
    provider.faults()
    with watched(docmill, provider, found.out, found.words) as run:
        assert run.until(lambda: run.saw("finished")), run.events[-3:]
        assert run.process.wait(10) == 0
    found.adopted += run.told("batch_adopted")
    found.released += run.told("batch_released")
    check_paid(found, provider)
    check_whole(found, provider)


def check_paid(found: Campaign, provider: Served) -> None:
    """Nothing was ever taken twice."""
    twice = {each: many for each, many in provider.paid().items() if many > 1}
    assert not twice, f"seed {found.seed}, after {found.kills} kills: paid for twice: {twice}"


def check_whole(found: Campaign, provider: Served) -> None:
    """Every document has the report of its last version, and every batch is closed."""
    paid = provider.paid()
    unpaid = {path for path, version in found.versions.items() if paid[path, version] != 1}
    assert not unpaid, f"reported without being paid for: {unpaid}"
    assert reports(found.out) == {f"{path}.md" for path in found.versions}
    assert failures(found.out) == []
    by_custom_id = {taken.custom_id: taken for taken in provider.ledger()}
    for path, version in found.versions.items():
        taken = by_custom_id[custom_id_of(found.out / f"{path}.md")]
        assert (taken.path, taken.version) == (path, version), f"{path} has the report of {taken}"
    told = summary(found.out)
    assert told["documents"]["reported"] == told["documents"]["total"] == len(found.versions)
    assert told["outcomes"]["reported"] == len(by_custom_id)
    statuses = Counter(batch.status.value for batch in read_state(found.out).batches)
    assert set(statuses) <= {"collected", "released"}, statuses
    assert statuses["collected"] == len({taken.batch for taken in provider.ledger()})
    left = [path for path in found.out.rglob(".docmill-*") if path.is_file()]
    assert not left, f"left of writes that were cut short: {left}"


def custom_id_of(report: Path) -> str:
    """Which request a report is from, as its header says."""
    line = next(x for x in report.read_text().splitlines() if x.startswith("custom_id: "))
    return line.removeprefix("custom_id: ").strip('"')


def table(found: Campaign) -> str:
    """The distribution of the kills, and what they came to."""
    signals = ", ".join(f"{many} {name}" for name, many in found.signals.items())
    lines = [f"{found.kills} kills ({signals}) in {found.seconds:.0f} s, by phase:"]
    lines += [f"  {found.phases[phase]:>4}  {phase}" for phase in Phase]
    lines += [f"  {many:>4}  runs with: {name}" for name, many in sorted(found.troubles.items())]
    lines += [
        f"runs that ended before they were killed: {found.ended_before}",
        f"documents: {len(found.versions)}, versions: {sum(found.versions.values())}",
        f"reports before the finish: {found.reported_on_the_way}",
        f"batches taken: {found.batches}, requests paid for: {found.requests}",
        f"batches in doubt: {found.adopted} adopted, {found.released} released",
        "all reported, none paid for twice",
    ]
    return "\n".join(lines)
