"""What a run would do and cost, with every model, while nothing is sent and nothing is changed."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from handlers.cli.faults import Fault
from handlers.cli.inputs import Inputs, check_documents, check_inputs, sightings
from handlers.cli.json_lines import amounts, json_line
from handlers.cli.options import Options, load_recipe, parse
from handlers.cli.rehearsal import rehearsal
from handlers.cli.session import translated_errors
from handlers.cli.timing import how_long
from handlers.cli.token_counts import Tokens, count
from handlers.cli.wording import counted, money, priced
from shared.adapters.builtin import catalog
from shared.app.control import unpaid, would_wait
from shared.app.deps import Deps
from shared.app.gone import forget_gone, forget_misfits
from shared.app.intake import take_in
from shared.app.load import MOST_REASONS, Waiting, waiting
from shared.app.publish import summary_of
from shared.domain.document import Document, DocumentStatus
from shared.domain.duration import pace
from shared.domain.estimate import Estimate
from shared.domain.names import escaped
from shared.domain.recipe import Recipe, RecipeError, parse_recipe
from shared.domain.summary import Summary
from shared.wiring.laptop import JOB, utc_now

_FAILURES_SHOWN = MOST_REASONS - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rehearsed:
    """A run up to where it would send: what would wait, what can't be sent, how the job stands."""

    found: Waiting
    tokens: Tokens
    unusable: tuple[tuple[str, str], ...]
    summary: Summary
    batches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Priced:
    """One model's amounts, or why the recipe can't be used with it."""

    model: str
    chosen: bool
    guess: Estimate | None
    problem: str = ""


def foretell(
    inputs: tuple[str, ...],
    out: Path | None,
    *,
    recipe: str | None,
    model: str | None,
    group_by: str | None,
    offline: str,
    as_json: bool,
) -> int:
    """`docmill estimate`, and `docmill run --dry-run`; `offline` says why no API is to be asked."""
    with tempfile.TemporaryDirectory(prefix="docmill-") as nowhere, translated_errors(out):
        target = out or Path(nowhere) / "out"
        given = check_inputs(inputs, target)
        options = load_recipe(
            recipe,
            given.recipe if recipe is None else None,
            Options(
                inputs=tuple(str(Path(text).resolve()) for text in inputs),
                model=model,
                group_by=group_by,
            ),
        )
        chosen = parse(options)
        seen = _rehearse(target, given, options, chosen, offline=offline)
    if not seen.summary.total:
        raise Fault(f"no documents in {', '.join(inputs)}")
    rows = _per_model(seen, options, chosen)
    (_show_json if as_json else _show)(seen, chosen, rows)
    return 0


def _rehearse(
    out: Path, given: Inputs, options: Options, recipe: Recipe, *, offline: str
) -> _Rehearsed:
    """What a run does until it asks, on a copy of the state in memory."""
    with rehearsal(out, options, recipe) as deps:
        check_documents(deps.documents, given, recipe)
        forget_gone(deps, JOB)
        forget_misfits(deps, JOB, waiting=True)
        take_in(deps, JOB, sightings(deps.documents, given, recipe), ready=True)

        def again() -> Iterator[Document]:
            return would_wait(deps, JOB, unpaid(deps, JOB))

        found = waiting(deps, JOB, recipe, also=again())
        unusable, summary = _unusable(deps, found), summary_of(deps, JOB)
        batches = found.batches(
            most_requests=deps.policy.most_requests(recipe.max_tokens),
            most_bytes=deps.policy.max_batch_bytes,
        )
        tokens = count(deps, recipe, found, again, offline=offline)
        return _Rehearsed(
            found=found, tokens=tokens, unusable=unusable, summary=summary, batches=batches
        )


def _unusable(deps: Deps, waiting: Waiting) -> tuple[tuple[str, str], ...]:
    """Some of what can't become a request, and why: what has failed before it was sent, and what
    will. What failed and is looked into again is among what waits."""
    looked_at = unpaid(deps, JOB)
    failed = (
        (document.path, failure.message)
        for document in deps.store.failed(JOB)
        if (failure := document.failure) is not None
        and failure.custom_id is None
        and not looked_at(document, failure)
    )
    return tuple(islice(chain(waiting.reasons, failed), _FAILURES_SHOWN + 1))


def _per_model(seen: _Rehearsed, options: Options, chosen: Recipe) -> list[_Priced]:
    """The chosen model first, then all that are offered still, by what they would cost."""
    today = utc_now().date()
    offered = [
        model.id
        for model in catalog().models
        if model.prices and (model.end_of_life is None or model.end_of_life > today)
    ]
    first = _priced(seen, options, chosen.model, chosen)
    own = catalog().find(chosen.model)
    others = [
        _priced(seen, options, model, chosen) for model in offered if own is None or model != own.id
    ]
    return [first, *sorted(others, key=_by_price)]


def _by_price(row: _Priced) -> tuple[bool, Decimal, str]:
    likely = row.guess.likely if row.guess else None
    return likely is None, likely or Decimal(0), row.model


def _priced(seen: _Rehearsed, options: Options, model: str, chosen: Recipe) -> _Priced:
    is_chosen = model == chosen.model
    try:
        recipe = chosen if is_chosen else _with_model(options, model)
    except RecipeError as error:
        reason = str(error).rpartition(": ")[2].partition(";")[0]
        return _Priced(model=model, chosen=False, guess=None, problem=escaped(reason))
    mean = seen.summary.totals.report_tokens
    tokens = seen.tokens.found
    guess = seen.found.estimate(
        recipe, catalog(), report_tokens=mean, input_tokens=tokens.tokens if tokens else None
    )
    return _Priced(model=model, chosen=is_chosen, guess=guess)


def _with_model(options: Options, model: str) -> Recipe:
    recipe = parse_recipe(
        options.recipe_text, name=options.recipe_name, catalog=catalog(), model_override=model
    )
    return replace(recipe, max_cost=None)


def _show(seen: _Rehearsed, recipe: Recipe, rows: list[_Priced]) -> None:
    chosen = rows[0].guess
    if chosen is None:
        raise AssertionError("the chosen recipe was checked")
    counts = seen.summary.documents
    if counts[DocumentStatus.REPORTED]:
        click.echo(f"{counted(counts[DocumentStatus.REPORTED], 'document')} reported already")
    if counts[DocumentStatus.IN_BATCH]:
        click.echo(f"{counted(counts[DocumentStatus.IN_BATCH], 'document')} under way already")
    for path, why in seen.unusable[:_FAILURES_SHOWN]:
        click.echo(escaped(f"can't be sent: {path}: {why}"))
    if len(seen.unusable) > _FAILURES_SHOWN:
        click.echo("… and more that can't be sent")
    nearest = catalog().nearest(recipe.model)
    so_far = seen.summary.totals.report_tokens is not None
    click.echo(escaped(priced(chosen, recipe, simulated=False, so_far=so_far, nearest=nearest)))
    if not chosen.documents:
        return
    click.echo(escaped(seen.tokens.told()))
    click.echo(how_long(seen.found, seen.batches, recipe, pace(seen.summary.batches)))
    Console(highlight=False, soft_wrap=True).print(_table(rows))
    for row in rows:
        if row.guess is None:
            click.echo(f"not with {row.model}: {row.problem}")


def _table(rows: list[_Priced]) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("model", no_wrap=True)
    for heading in ("likely", "at most", "without batches"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        if row.guess is not None:
            amounts = (row.guess.likely, row.guess.at_most, row.guess.likely_without_batches)
            name = Text(f"{row.model}{' *' if row.chosen else ''}")
            table.add_row(name, *(_amount(each) for each in amounts))
    return table


def _amount(dollars: Decimal | None) -> str:
    return "unknown" if dollars is None else money(dollars, digits=2).replace("less than ", "<")


def _show_json(seen: _Rehearsed, recipe: Recipe, rows: list[_Priced]) -> None:
    """One event."""
    counts = seen.summary.documents
    load = seen.found.load
    tokens, past = seen.tokens.found, pace(seen.summary.batches)
    click.echo(
        json_line(
            {
                "event": "estimate",
                "at": utc_now(),
                "recipe": recipe.name,
                "model": recipe.model,
                "documents": load.documents,
                "unsendable": seen.found.unsendable,
                "requests": seen.found.requests.total(),
                "bytes": load.bytes,
                "counted": tokens.counted if tokens else 0,
                "not_counted": seen.tokens.why_not or None,
                "input_tokens_low": tokens.low if tokens else None,
                "input_tokens_high": tokens.high if tokens else None,
                "batches": seen.batches,
                "request_bytes": seen.found.bytes.total(),
                "batch_seconds": [past.shortest.total_seconds(), past.longest.total_seconds()]
                if past
                else None,
                "reported": counts[DocumentStatus.REPORTED],
                "in_batch": counts[DocumentStatus.IN_BATCH],
                "failed": counts[DocumentStatus.FAILED],
                "models": [_row_json(row) for row in rows],
            }
        )
    )


def _row_json(row: _Priced) -> dict[str, object]:
    if row.guess is None:
        return {"model": row.model, "problem": row.problem}
    guess = row.guess

    return {
        "model": row.model,
        "input_tokens": guess.input_tokens,
        "report_tokens": guess.report_tokens,
        **amounts(
            {
                "likely_usd": guess.likely,
                "at_most_usd": guess.at_most,
                "without_batches_usd": guess.likely_without_batches,
            }
        ),
    }
