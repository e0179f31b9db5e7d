"""`docmill run --sample N`: a few documents first, and what they say of the rest."""

import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from handlers.cli.inputs import Inputs, sightings
from handlers.cli.session import Session
from handlers.cli.wording import NOTE, about, counted, money
from shared.app.candidates import waiting_of
from shared.app.chosen import give_up_plans, only
from shared.app.control import Wanted
from shared.app.load import waiting
from shared.app.observed import observe
from shared.domain.document import Document, DocumentStatus, Failure, Sighting
from shared.domain.estimate import prompt_bytes
from shared.domain.projection import Projection, Quality, project, quality
from shared.domain.recipe import Recipe
from shared.domain.sample import Kind, kind_of, shown
from shared.ports.blobs import Blobs
from shared.wiring.laptop import JOB

ENDS = (DocumentStatus.REPORTED, DocumentStatus.FAILED)
MOST = 1_000
"""Documents of a sample: it is held in memory, and more is a job of its own."""

STILL_OPEN = "the sample isn't at its end; the same command says what it came to once it is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The documents chosen, by path; how many there are to choose from, and bytes of all."""

    paths: frozenset[str]
    documents: int
    bytes: int


def choose(blobs: Blobs, given: Inputs, recipe: Recipe, most: int) -> Sample:
    """Choose by what lies in the inputs and nothing else: the same command chooses the same again,
    however far it came before."""

    def usable() -> Iterator[Sighting]:
        return (each for each in sightings(blobs, given, recipe) if each.failure is None)

    seen = shown((_kind(each), each.content.size) for each in usable())
    places = seen.chosen(most)
    paths = (each.path for place, each in enumerate(usable()) if place in places)
    return Sample(paths=frozenset(paths), documents=seen.documents, bytes=seen.bytes)


def _kind(sighting: Sighting) -> Kind:
    is_row = sighting.content.is_row
    return kind_of(sighting.path, is_row=is_row, group=sighting.group)


def limited(work: Session, sample: Sample) -> Session:
    """The session in which nothing else can be sent."""
    give_up_plans(work.deps, JOB, sample.paths)
    store = only(work.deps.store, JOB, sample.paths)
    return replace(work, deps=replace(work.deps, store=store))


def among(sample: Sample, wanted: Wanted) -> Wanted:
    """Of what is wanted, that which is in the sample."""

    def wants(document: Document, failure: Failure) -> bool:
        return document.path in sample.paths and wanted(document, failure)

    return wants


def is_open(work: Session, sample: Sample) -> bool:
    """Whether some of it is without a report or a failure yet."""
    known = work.deps.store.documents(JOB, sample.paths).values()
    return any(each.status not in ENDS for each in known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What a sample says. `documents` wait besides it, and may cost `at_most` US dollars."""

    quality: Quality
    observed: int
    documents: int
    at_most: Decimal | None
    rest: Projection | None


async def learn(work: Session, sample: Sample) -> Learned:
    """Read what the sample came to, and project it to what waits; `work` is without a limit."""
    observed = list((await observe(work.deps, JOB, work.recipe, sample.paths)).values())
    sizes = [each.content.size for each in waiting_of(work.deps, JOB)]
    found = waiting(work.deps, JOB, work.recipe)
    return Learned(
        quality=quality(observed),
        observed=len(observed),
        documents=len(sizes),
        at_most=found.at_most(work.recipe, work.deps.catalog),
        rest=project(
            observed,
            documents=len(sizes),
            size=sum(sizes),
            prompt=prompt_bytes(work.recipe),
        ),
    )


def tell_of(work: Session, sample: Sample, learned: Learned) -> None:
    """The same as an event, for programs."""
    known, rest = learned.quality, learned.rest
    work.deps.emit(
        "projected",
        sample=len(sample.paths),
        observed=learned.observed,
        reported=known.reported,
        truncated=known.truncated,
        failures=dict(known.failures),
        report_tokens=known.report_tokens,
        sample_usd=known.cost,
        documents=learned.documents,
        likely_usd=rest.likely if rest else None,
        low_usd=rest.low if rest else None,
        high_usd=rest.high if rest else None,
        at_most_usd=learned.at_most,
    )


def say(work: Session, sample: Sample, learned: Learned) -> None:
    """And in words, for a person, with how to go on."""
    lines = [_quality(sample, learned)]
    if learned.documents:
        lines += [_rest(learned), f"to go on with all: {_without_sample(sys.argv[1:])}"]
    for line in lines:
        work.display.tell(NOTE, {"message": line})


def _quality(sample: Sample, learned: Learned) -> str:
    known = learned.quality
    text = f"the sample, {len(sample.paths):,} of {counted(sample.documents, 'document')}: "
    text += f"{known.reported:,} reported"
    if known.report_tokens is not None:
        text += f" with {counted(known.report_tokens, 'token')} each in the mean"
    if known.truncated:
        text += f", {known.truncated:,} of them cut off at max_tokens"
    if known.failures:
        each = (f"{number:,} {kind}" for kind, number in sorted(known.failures.items()))
        text += f"; {counted(known.failures.total(), 'failure')} ({', '.join(each)})"
    if learned.observed < len(sample.paths):
        text += f"; of {len(sample.paths) - learned.observed:,} nothing is known by this recipe"
    if known.cost is not None:
        text += f"; {money(known.cost)} in all"
    return text


def _rest(learned: Learned) -> str:
    rest, most = learned.rest, learned.at_most
    text = f"the rest, {counted(learned.documents, 'document')}: "
    if rest is None:
        return text + "what it costs can't be told from that"
    text += f"{about(rest.likely)}, from {money(rest.low, digits=2)} to "
    text += f"{money(rest.high, digits=2)} "
    text += (
        "(nine in ten resamplings of the sample"
        if rest.resampled
        else "(if all were like the cheapest or the dearest"
    )
    text += "; it is assumed to be like the sample, what goes in growing with its bytes)"
    return text + ("" if most is None else f", at most {money(most, digits=2)}")


def _without_sample(words: list[str]) -> str:
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--sample":
            next(rest, None)
        elif not word.startswith("--sample="):
            kept.append(word)
    return shlex.join(["docmill", *kept])
