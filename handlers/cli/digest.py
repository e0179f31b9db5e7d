"""`docmill digest`: one more report for each folder of an output, made of the reports in it.

The reports are put together as documents below the output's own folder, and a second run makes
reports of those: split where they are too long, paid for once as long as they stay the same, with
costs and failures of its own.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from handlers.cli import commands
from handlers.cli.agreeing import Consent
from handlers.cli.faults import Fault
from handlers.cli.options import Options, load_recipe, parse
from handlers.cli.session import translated_errors
from handlers.cli.wording import counted
from shared.app.publish import FAILURES, SUMMARY
from shared.domain.digest import (
    DIGEST_NAME,
    Reported,
    digest_document,
    digest_path,
    report_read,
)
from shared.domain.names import escaped
from shared.domain.published import NotASummary, read_summary
from shared.domain.report import REPORT_BEGINS
from shared.wiring.laptop import JOB, reading_store, state_file, state_folder

_HEADER_BYTES = 64_000


@dataclass(slots=True)
class _Folder:
    """What a digest is made of: where the reports lie, and why others are missing."""

    reports: dict[str, Path] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def digest(
    out: Path,
    *,
    recipe: str,
    model: str | None,
    whole: bool,
    poll_interval: float,
    max_cost: str | None,
    wait: bool,
    simulate: bool,
    given: Consent,
    as_json: bool,
) -> int:
    """Digests of what `out` holds; with `whole` one of all of it. The exit status is `run`'s."""
    with translated_errors(out):
        chosen = parse(load_recipe(recipe, None, Options(inputs=(), model=model)))
        suffix = chosen.form.suffix
        _check_ended(out)
        folders = _folders(out, whole=whole)
        if not any(folder.reports for folder in folders.values()):
            raise Fault(f"{out} holds no reports to make a digest of")
        _check_places(out, folders, suffix)
        place = state_folder(out) / "digest"
        made = _put_together(place / "in", folders)
        click.echo(
            f"docmill: {counted(len(made), 'digest')} of "
            f"{counted(sum(len(each.reports) for each in folders.values()), 'report')}",
            err=as_json,
        )
    status = commands.run(
        (str(place / "in"),),
        place / "out",
        recipe=recipe,
        model=model,
        group_by="none",
        poll_interval=poll_interval,
        max_attempts=None,
        max_cost=max_cost,
        wait=wait,
        simulate=simulate,
        given=given,
        as_json=as_json,
    )
    with translated_errors(out):
        for name in made:
            _publish(place / "out" / f"{name}{suffix}", out / f"{name}{suffix}")
    return status


def _check_ended(out: Path) -> None:
    """Raise Fault where the job isn't at its end: what a digest says must be true of all of it."""
    try:
        summary = read_summary((out / SUMMARY).read_bytes())
    except FileNotFoundError:
        raise Fault(f"{out} holds no {SUMMARY}: nothing was finished here yet") from None
    except NotASummary as error:
        raise Fault(f"{out / SUMMARY}: {error}") from None
    if summary.open:
        raise Fault(
            f"{counted(summary.open, 'document')} of {out} have neither report nor failure yet; "
            "finish the run first, then make the digest"
        )


def _folders(out: Path, *, whole: bool) -> dict[str, _Folder]:
    """The folders of the output, by name; all of it is one with `whole`."""
    failed = _failed(out)
    folders: dict[str, _Folder] = {}

    def of(path: str) -> _Folder:
        name = "" if whole else path.rpartition("/")[0]
        return folders.setdefault(name, _Folder())

    for path, type_ in failed.items():
        of(path).failed[path] = type_
    for path, file in _reports(out):
        if path not in failed:  # else it is of an older version
            of(path).reports[path] = file
    return {name: folder for name, folder in sorted(folders.items()) if folder.reports}


def _failed(out: Path) -> dict[str, str]:
    try:
        lines = (out / FAILURES).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    try:
        told = [json.loads(line) for line in lines]
        return {str(line["path"]): str(line["type"]) for line in told}
    except (ValueError, KeyError, TypeError):
        raise Fault(f"{out / FAILURES} is not docmill's list of failures") from None


def _reports(out: Path) -> Iterator[tuple[str, Path]]:
    for folder, names, files in os.walk(out):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            file = Path(folder, name)
            begins = REPORT_BEGINS.get(file.suffix)
            if begins is None or file.stem == DIGEST_NAME:
                continue
            with file.open("rb") as opened:
                if opened.read(len(begins)) == begins:
                    yield file.relative_to(out).as_posix().removesuffix(file.suffix), file


def _check_places(out: Path, folders: dict[str, _Folder], suffix: str) -> None:
    """Raise Fault where something else lies in a digest's place, before it is paid for."""
    names = [digest_path(folder) for folder in folders]
    known: set[str] = set()
    if state_file(out).is_file():
        store = reading_store(out)
        try:
            known = set(store.documents(JOB, names))
        finally:
            store.close()
    for name in names:
        target = out / f"{name}{suffix}"
        begins = REPORT_BEGINS[suffix] + json.dumps(name, ensure_ascii=False).encode()
        is_there = target.exists()
        if name in known or (is_there and not _head(target).startswith(begins)):
            raise Fault(f"{escaped(str(target))} is there and no digest; rename or remove it")


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_HEADER_BYTES)


def _put_together(place: Path, folders: dict[str, _Folder]) -> list[str]:
    """Write a document for each folder, and remove those of folders that are gone."""
    names = [digest_path(folder) for folder in folders]
    wanted = {place / name for name in names}
    for where, _, files in os.walk(place):
        for file in files:
            if Path(where, file) not in wanted:
                Path(where, file).unlink()
    for name, folder in zip(names, folders.values(), strict=True):
        target = place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{DIGEST_NAME}")
        with fresh.open("w", encoding="utf-8", errors="replace") as written:
            written.writelines(digest_document(_read(folder.reports), folder.failed))
        fresh.replace(target)
    return names


def _read(reports: dict[str, Path]) -> Iterator[Reported]:
    for path, file in sorted(reports.items()):
        yield report_read(path, file.suffix, file.read_bytes())


def _publish(made: Path, target: Path) -> None:
    """Put a digest beside the reports, whole or not at all."""
    if not made.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.new")
    fresh.write_bytes(made.read_bytes())
    fresh.replace(target)
