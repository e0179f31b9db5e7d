"""`docmill compare`: recipes or models over the same sample, side by side, with costs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import click

from handlers.cli.agreeing import Consent, agreed, exposure
from handlers.cli.commands import SIMULATED, check_out, perform
from handlers.cli.comparison import Compared, show, show_json
from handlers.cli.comparison_page import PAGE, check_page, write_page
from handlers.cli.faults import Fault
from handlers.cli.inputs import Inputs, check_documents, check_inputs, sightings
from handlers.cli.memory import Asked, check_provider, remember
from handlers.cli.options import Options, settings_for
from handlers.cli.rehearsal import rehearsal
from handlers.cli.sampling import ENDS, Sample, among, choose, limited
from handlers.cli.session import LEFT_OPEN, Session, translated_errors
from handlers.cli.variants import Variant, variants
from handlers.cli.wording import counted, money, priced
from shared.adapters.builtin import catalog
from shared.app.chosen import only
from shared.app.control import let_wait, unpaid, would_wait
from shared.app.deps import Deps
from shared.app.drive import drive
from shared.app.gone import forget_gone
from shared.app.intake import take_in
from shared.app.load import waiting
from shared.app.observed import observe
from shared.app.publish import publish
from shared.app.report_places import put_in_place, report_key
from shared.domain.catalog import added
from shared.domain.document import DocumentStatus, Sighting
from shared.domain.estimate import Estimate, prompt_bytes
from shared.domain.names import escaped
from shared.domain.projection import project_all, quality
from shared.domain.recipe import Recipe
from shared.ports.store import Store
from shared.wiring.laptop import JOB


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """The variants, and the documents that each is tried on."""

    given: Inputs
    sample: Sample
    variants: list[Variant]


def compare(
    inputs: tuple[str, ...],
    out: Path,
    *,
    recipes: tuple[str, ...],
    models: tuple[str, ...],
    sample: int,
    poll_interval: float,
    simulate: bool,
    given: Consent,
    as_json: bool,
) -> int:
    """`docmill compare`."""
    found = check_inputs(inputs, out)
    check_out(out)
    asked = Options(
        inputs=tuple(str(Path(text).resolve()) for text in inputs),
        group_by="none",  # one batch each
        poll_interval=poll_interval,
        simulate=simulate,
    )
    those = variants(recipes, models, found.recipe if not recipes else None, out, asked)
    settings_for(simulate=simulate)
    check_page(out)
    plan = _Plan(given=found, sample=_chosen(found, those[0], sample), variants=those)
    if simulate:
        click.echo(f"docmill: {SIMULATED}", err=as_json)
    if not _agreed(plan, given, simulate=simulate, as_json=as_json):
        click.echo("nothing was submitted", err=as_json)
        return LEFT_OPEN
    for variant in those:  # all are under way before any is waited for
        _tell(f"{variant.name}: submitting", as_json)
        _work_on(plan, variant, _submitted, as_json=as_json)
    compared = []
    for variant in those:
        _tell(f"{variant.name}: waiting for its reports", as_json)
        compared.append(_finished(plan, variant, as_json=as_json))
    with translated_errors(out):
        write_page(out, plan.sample, compared)
    (show_json if as_json else show)(out / PAGE, plan.sample, compared)
    return max((each.exit_status for each in compared), default=0)


def _tell(line: str, as_json: bool) -> None:
    if not as_json:
        click.echo(escaped(line))


def _chosen(given: Inputs, first: Variant, most: int) -> Sample:
    """By the first variant's grouping; the same documents for all."""
    recipe = first.recipe
    with translated_errors(first.out), rehearsal(first.out, first.options, recipe) as deps:
        sample = choose(deps.documents, given, recipe, most)
    if not sample.paths:
        raise Fault(f"no documents in {', '.join(first.options.inputs)}")
    return sample


def _agreed(plan: _Plan, given: Consent, *, simulate: bool, as_json: bool) -> bool:
    """Say what each may cost, and ask once for all."""
    most: Decimal | None = Decimal(0)
    documents = 0
    for variant in plan.variants:
        guess = _guess(plan, variant)
        documents += guess.documents
        if not guess.documents:
            continue
        each = exposure(guess, variant.recipe)
        most = added(most, each)
        nearest = catalog().nearest(variant.recipe.model)
        said = priced(guess, variant.recipe, simulated=simulate, so_far=False, nearest=nearest)
        click.echo(escaped(said), err=as_json)
    if simulate or not documents:
        return True
    if most is not None:
        text = f"{counted(documents, 'request')}, at most {money(most, digits=2)} in all"
        click.echo(text, err=as_json)
    return agreed(most, given)


def _guess(plan: _Plan, variant: Variant) -> Estimate:
    """What is still to be sent of a variant's sample, on a copy of its state."""
    recipe = variant.recipe
    with translated_errors(variant.out), rehearsal(variant.out, variant.options, recipe) as deps:
        _take_in(deps, plan, recipe)
        again = would_wait(deps, JOB, among(plan.sample, unpaid(deps, JOB)))
        store = only(deps.store, JOB, plan.sample.paths)
        found = waiting(replace(deps, store=store), JOB, recipe, also=again)
        return found.estimate(recipe, catalog())


def _take_in(deps: Deps, plan: _Plan, recipe: Recipe) -> None:
    def seen() -> Iterator[Sighting]:
        found = sightings(deps.documents, plan.given, recipe)
        return (each for each in found if each.path in plan.sample.paths)

    check_documents(deps.documents, plan.given, recipe)
    forget_gone(deps, JOB)
    take_in(deps, JOB, seen(), ready=True)


def _work_on(
    plan: _Plan,
    variant: Variant,
    then: Callable[[Session, Session, Sample], Awaitable[int]],
    *,
    as_json: bool,
) -> int:
    """Do something with a variant's sample: with its session, and that which sends nothing else."""

    def asked(store: Store) -> Asked:
        check_provider(store, variant.options)
        return Asked(options=variant.options)

    async def work(whole: Session) -> int:
        put_in_place(whole.deps, JOB)
        _take_in(whole.deps, plan, whole.recipe)
        sent = limited(whole, plan.sample)
        remember(whole.deps.store, whole.options, whole.settings)
        let_wait(whole.deps, JOB, among(plan.sample, unpaid(whole.deps, JOB)))
        return await then(whole, sent, plan.sample)

    return perform(variant.out, as_json=as_json, asked=asked, work=work, announced=False)


async def _submitted(whole: Session, sent: Session, _: Sample) -> int:
    await drive(sent.deps, sleep=asyncio.sleep, waiting=False)
    publish(whole.deps, JOB)
    return 0


def _finished(plan: _Plan, variant: Variant, *, as_json: bool) -> Compared:
    """Wait for a variant's reports, and see what they came to."""
    results: list[Compared] = []

    async def finish(whole: Session, sent: Session, sample: Sample) -> int:
        await drive(sent.deps, sleep=asyncio.sleep)
        summary = publish(whole.deps, JOB)
        known = whole.deps.store.documents(JOB, sample.paths)
        observed = await observe(whole.deps, JOB, whole.recipe, sample.paths)
        seen = list(observed.values())
        everything = project_all(
            seen,
            documents=sample.documents,
            size=sample.bytes,
            prompt=prompt_bytes(whole.recipe),
        )
        results.append(
            Compared(
                variant=variant,
                observed=observed,
                quality=quality(seen),
                whole=everything,
                elapsed=summary.elapsed,
                reports={
                    path: report_key(whole.deps, document)
                    for path, document in known.items()
                    if document.status is DocumentStatus.REPORTED
                },
                failures={
                    path: document.failure
                    for path, document in known.items()
                    if document.status is DocumentStatus.FAILED and document.failure is not None
                },
                open=sum(document.status not in ENDS for document in known.values()),
            )
        )
        return 0

    _work_on(plan, variant, finish, as_json=as_json)
    return results[0]
