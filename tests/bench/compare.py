"""Times `docmill run` against the plain SDK loop, in turns, on documents made for it.

Both talk over HTTP to a simulator that serves in a process of its own and whose batches end at
once, so that what is measured is everything but the waiting: Python starting, imports, reading
the documents, building and sending the batch, one look or a few, reading the results, writing the
reports. Wall time also holds the simulator's own work (its CPU time is shown beside) and runs on
the same cores. CPU is user and system time, memory the peak resident set, of the process alone, as
`wait4` tells them. docmill's requests are some 400 bytes longer: it fences documents.

Everything lies in memory (/dev/shm) where there is room: a disk writes the same 10,000 files in
0.3 to 5 s, by its mood, which hides what is compared. `--folder` names a disk to see that too.

The target: no slower than the loop, at half its memory.
"""

# The imports are few on purpose: Linux counts the peak of this process, at the moment it starts
# another one, as that one's.

import argparse
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

MODEL = "claude-opus-4-6"
MAX_TOKENS = 16_000
SYSTEM = "You review documents for a busy reader."
PROMPT = "Summarise this document in one paragraph, and name what is missing."
POLL_S = "0.05"
_MEMORY = Path("/dev/shm")
_ROOM = 2 << 30
_KIB = 1 << 10
_MIB = 1 << 20
_HEADINGS = ("Overview", "Installation", "Usage", "Limits", "Licence", "Überblick", "概要")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What both have to do: `documents` of `document_bytes`, answers of `answer_bytes` or more."""

    documents: int
    document_bytes: int
    answer_bytes: int
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One run: seconds and bytes."""

    wall: float
    user: float
    system: float
    peak: int
    served: float

    @property
    def cpu(self) -> float:
        """Seconds of both kinds."""
        return self.user + self.system


class Failed(Exception):
    """A run didn't do its work, so that its figures mean nothing."""


def write_documents(folder: Path, count: int, size: int) -> None:
    """Markdown of `size` bytes each, no two alike, the same on every machine."""
    draw = random.Random(20260101)
    words = ["".join(draw.choices("aeiounrstlmdkpgh", k=draw.randint(2, 11))) for _ in range(4000)]
    words += ["naïve", "größer", "résumé", "données", "設計", "文書", "«quoted»", "`code`"]
    folder.mkdir()
    for number in range(count):
        parts = [f"# Document {number}\n"]
        length = len(parts[0])
        while length < size:
            sentence = " ".join(draw.choices(words, k=draw.randint(5, 19))).capitalize() + ". "
            if draw.random() < 0.1:
                sentence += f"\n\n## {draw.choice(_HEADINGS)}\n\n"
            parts.append(sentence)
            length += len(sentence.encode())
        text = "".join(parts).encode()[:size].decode(errors="ignore")
        (folder / f"document {number:05}.md").write_text(text, "utf-8")


@contextmanager
def simulator(answer_bytes: int, served: list[float]) -> Iterator[str]:
    """A fresh simulator's address; its CPU seconds are appended when it has ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.served", str(answer_bytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if process.stdin is None or process.stdout is None:
        raise AssertionError("both are pipes")
    try:
        address = process.stdout.readline().strip()
        if not address.startswith("http"):
            raise Failed("the simulator did not start")
        yield address
    finally:
        process.stdin.close()
        process.stdout.close()
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        served.append(usage.ru_utime + usage.ru_stime)


def docmill(source: Path, target: Path, recipe: Path) -> list[str]:
    """The real command."""
    command = [str(Path(sys.executable).with_name("docmill")), "run", str(source)]
    return [
        *command,
        "--out",
        str(target),
        "--recipe",
        str(recipe),
        "--poll-interval",
        POLL_S,
        "--yes",
    ]


def loop(source: Path, target: Path, _: Path) -> list[str]:
    """The loop."""
    command = [sys.executable, str(Path(__file__).with_name("plain_loop.py")), str(source)]
    return [*command, str(target), SYSTEM, PROMPT, MODEL, str(MAX_TOKENS), POLL_S]


Command = Callable[[Path, Path, Path], list[str]]
PROGRAMS: dict[str, Command] = {"docmill": docmill, "loop": loop}


def measured(command: Command, source: Path, recipe: Path, scratch: Path, work: Work) -> Figures:
    """Run one program once on a fresh output and a fresh simulator. Raises Failed."""
    target = scratch / "out"
    words = command(source, target, recipe)
    served: list[float] = []
    kept = {name: value for name, value in os.environ.items() if not _is_ours(name)}
    log = scratch / "log"
    os.sync()  # or the disk still works on what the run before wrote
    with simulator(work.answer_bytes, served) as address, log.open("wb") as lines:
        environment = {**kept, "ANTHROPIC_API_KEY": "bench", "ANTHROPIC_BASE_URL": address}
        began = time.perf_counter()
        process = subprocess.Popen(words, env=environment, stdout=lines, stderr=lines)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    reports = sum(1 for path in target.glob("*.md") if path.stat().st_size >= work.answer_bytes)
    if process.returncode or reports != work.documents:
        raise Failed(
            f"{words[0]} ended with {process.returncode} and {reports} of {work.documents} "
            f"reports:\n{log.read_text(errors='replace')[-2000:]}"
        )
    shutil.rmtree(target)
    return Figures(
        wall=wall,
        user=usage.ru_utime,
        system=usage.ru_stime,
        peak=usage.ru_maxrss * (1 if sys.platform == "darwin" else _KIB),
        served=served[0],
    )


def _is_ours(name: str) -> bool:
    return name.upper().startswith(("ANTHROPIC_", "DOCMILL_")) or name.lower().endswith("_proxy")


def compare(title: str, work: Work, scratch: Path) -> None:
    """Time both in turns and print a row per run, medians and their ratio."""
    say(f"\n{title}")
    source, recipe = scratch / "documents", scratch / "recipe.md"
    front = f"model: {MODEL}\nmax_tokens: {MAX_TOKENS}\nsystem: {SYSTEM}"
    recipe.write_text(f"---\n{front}\n---\n{PROMPT}\n\n{{{{ document.text }}}}\n")
    write_documents(source, work.documents, work.document_bytes)
    found: dict[str, list[Figures]] = {name: [] for name in PROGRAMS}
    say(
        f"{'':10} {'round':>6} {'wall s':>9} {'CPU s':>9} {'user':>7} {'system':>7} "
        f"{'peak MiB':>9} {'simulator CPU s':>16}"
    )
    for number in range(1, work.rounds + 1):
        for name, command in PROGRAMS.items():
            figures = measured(command, source, recipe, scratch, work)
            found[name].append(figures)
            _row(name, str(number), figures)
    middle = {name: _median(runs) for name, runs in found.items()}
    for name, figures in middle.items():
        _row(name, "median", figures)
    ours, theirs = middle["docmill"], middle["loop"]
    say(
        f"{'ratio':10} {'':>6} {ours.wall / theirs.wall:9.2f} {ours.cpu / theirs.cpu:9.2f} "
        f"{ours.user / theirs.user:7.2f} {'':7} {ours.peak / theirs.peak:9.2f}"
    )
    reached = ours.wall <= theirs.wall and ours.peak <= theirs.peak / 2
    say(f"no slower at half the memory: {'reached' if reached else 'NOT reached'}")
    shutil.rmtree(source)


def _row(name: str, which: str, figures: Figures) -> None:
    say(
        f"{name:10} {which:>6} {figures.wall:9.2f} {figures.cpu:9.2f} "
        f"{figures.user:7.2f} {figures.system:7.2f} "
        f"{figures.peak / _MIB:9.1f} {figures.served:16.2f}"
    )


def _median(runs: list[Figures]) -> Figures:
    return Figures(
        wall=median(run.wall for run in runs),
        user=median(run.user for run in runs),
        system=median(run.system for run in runs),
        peak=int(median(run.peak for run in runs)),
        served=median(run.served for run in runs),
    )


def _fastest_folder() -> Path | None:
    """Memory, if there is enough; None stands for the usual place of temporary files."""
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM
    return _MEMORY if roomy else None


def say(line: str) -> None:
    """Print at once: a run takes seconds to minutes."""
    print(line, flush=True)  # noqa: T201 - a command's output


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3, help="of the small documents (3)")
    parser.add_argument("--documents", type=int, default=10_000, help="how many small ones (10000)")
    parser.add_argument("--large-documents", type=int, default=100, help="how many large (100)")
    parser.add_argument("--skip-small", action="store_true", help="only the large results")
    parser.add_argument("--skip-large", action="store_true", help="not the large results")
    parser.add_argument("--folder", type=Path, help="where to work (/dev/shm, if there is room)")
    asked = parser.parse_args()
    small = Work(
        documents=asked.documents, document_bytes=4096, answer_bytes=0, rounds=asked.rounds
    )
    large = Work(
        documents=asked.large_documents, document_bytes=4096, answer_bytes=1_000_000, rounds=1
    )
    within = asked.folder or _fastest_folder()
    say(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.platform()}")
    say(f"files in {within or tempfile.gettempdir()}")
    try:
        with tempfile.TemporaryDirectory(prefix="docmill-bench-", dir=within) as folder:
            scratch = Path(folder)
            if not asked.skip_small:
                compare(f"{small.documents:,} documents of 4 KB", small, scratch)
            if not asked.skip_large:
                compare(f"{large.documents:,} results of 1 MB", large, scratch)
    except Failed as failed:
        say(f"failed: {failed}")
        return 1
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    say(f"\n(peaks below {own / _KIB:.0f} MiB would be this program's own)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
