"""Recipes before they are used: those that are built in, a new one, and one that is looked over."""

import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec

from handlers.cli.faults import Fault
from handlers.cli.inputs import Inputs, sightings
from handlers.cli.options import Options, load_recipe, parse
from handlers.cli.rehearsal import rehearsal
from handlers.cli.session import translated_errors
from handlers.cli.wording import counted, money
from shared.adapters.builtin import builtin_recipes, catalog
from shared.app.contents import read_contents
from shared.app.requests import Requests
from shared.domain.caching import FEW
from shared.domain.document import Document, sighted
from shared.domain.estimate import BYTES_PER_TOKEN, bound
from shared.domain.ids import custom_id
from shared.domain.names import escaped
from shared.domain.recipe import Recipe, parse_recipe
from shared.wiring.laptop import JOB

_NEW = """\
---
description: What this recipe does, in one line
model: claude-opus-4-6
max_tokens: 8192
# system: Who the model is and whom it writes for.
# group_by: folder       # what batches are cut along: folder, none, date, or a manifest's column
# max_wait: 15m          # on AWS: how long a document waits at most for others to share its batch
# max_attempts: 3        # how often what the provider failed is tried
# max_cost: 25           # US dollars that the job may cost, ever
# params:                # any further parameter of the Messages API
#   thinking: {type: adaptive}
---
Summarize the document below for somebody who has to decide on it today.

{{ document.text }}

Answer in Markdown, with these sections and no others:

## In One Sentence

## What It Asks For

## What Is Missing
"""


def lines() -> list[str]:
    """`docmill recipes`: a line each."""
    found = []
    for name, text in sorted(builtin_recipes().items()):
        recipe = parse_recipe(text, name=name, catalog=catalog())
        found.append(f"{name}  {recipe.model}  {recipe.description}")
    return found


def text_of(name: str) -> str:
    """`docmill recipes show`."""
    found = builtin_recipes()
    if name not in found:
        raise Fault(f"no built-in recipe {name}; there are: {', '.join(sorted(found))}")
    return found[name]


def new(path: Path, *, like: str | None) -> int:
    """`docmill recipes new`: a recipe to be edited, which works as it is."""
    if path.is_dir():
        raise Fault(f"{escaped(str(path))} is a folder; name the file of the recipe")
    text = _NEW if like is None else text_of(like)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Fault(f"{escaped(str(path))} is there already; choose another name") from None
    except OSError as error:
        raise Fault(f"{escaped(str(path))} can't be written: {error.strerror}") from None
    click.echo(f"{path} is there; edit it, then `docmill recipes check {path}`")
    return 0


def check(name: str, document: Path | None, *, model: str | None, as_json: bool) -> int:
    """`docmill recipes check`: what the recipe says, and what would be sent for a document."""
    options = load_recipe(name, None, Options(model=model))
    recipe = parse(options)
    request = None if document is None else _request(recipe, document)
    if as_json:
        click.echo(json.dumps(_as_json(recipe, request), ensure_ascii=False))
        return 0
    click.echo(escaped(_said(recipe)))
    if request is not None:
        _show(recipe, request)
    return 0


def _said(recipe: Recipe) -> str:
    longest = counted(recipe.max_tokens, "token")
    parts = [f"{recipe.name} is fine: {recipe.model}, reports of up to {longest}"]
    parts += [f"beta {beta}" for beta in recipe.betas]
    if recipe.needs_columns:
        parts.append(f"for manifests with {', '.join(sorted(recipe.needs_columns))}")
    if recipe.params:
        parts.append(f"with {', '.join(sorted(recipe.params))}")
    if recipe.max_cost is not None:
        parts.append(f"max_cost {money(recipe.max_cost, digits=2)}")
    return "; ".join(parts)


def _request(recipe: Recipe, path: Path) -> dict[str, Any]:
    """What would be sent for a document, or for the first row of a manifest. Raises Fault."""
    shown = escaped(str(path))
    if not path.is_file():
        raise Fault(f"no such file: {shown}")
    inputs = Inputs(folders=(), files=(path.resolve(),))
    options = Options(inputs=(str(inputs.files[0]),))
    with (
        tempfile.TemporaryDirectory(prefix="docmill-") as nowhere,
        translated_errors(),
        rehearsal(Path(nowhere) / "out", options, recipe) as deps,
    ):
        seen = next(sightings(deps.documents, inputs, recipe), None)
        if seen is None:
            raise Fault(f"{shown} holds no document")
        document = sighted(None, seen, job=JOB, now=deps.clock())
        if document is None or document.failure is not None:
            raise _unusable(shown, document)
        _, content = next(read_contents(deps, [document], recipe))
        name = custom_id(document.path, 0, deps.new_batch_id())
        made = Requests(deps, recipe).make(document, content, name)
        if isinstance(made, Document):
            raise _unusable(shown, made)
    found: dict[str, Any] = msgspec.json.decode(made[1])
    return found


def _unusable(shown: str, document: Document | None) -> Fault:
    why = document.failure.message if document and document.failure else "it can't be used"
    return Fault(escaped(f"{shown} can't be sent: {why}"))


def _show(recipe: Recipe, request: dict[str, Any]) -> None:
    params = request["params"]
    size = len(msgspec.json.encode(request))
    cost = bound(recipe, catalog())(size)
    about = f"about {counted(size // BYTES_PER_TOKEN, 'token')} in"
    most = "" if cost is None else f", at most {money(cost)} with the longest answer"
    click.echo(f"its request has {size:,} bytes, {about}{most}")
    if recipe.shared is not None:
        click.echo(
            f"where {FEW} or more are sent together, their first {recipe.shared.size:,} bytes are "
            "marked to be cached; cache: off in the recipe leaves that"
        )
    click.echo(f"\n--- system\n{_printable(params['system'])}")
    for message in params["messages"]:
        click.echo(f"\n--- {message['role']}\n{_printable(message['content'])}")


def _printable(text: str) -> str:
    """Line by line: a document's control characters are not the terminal's to obey."""
    return "\n".join(escaped(line) for line in text.split("\n"))


def _as_json(recipe: Recipe, request: dict[str, Any] | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "recipe": recipe.name,
        "model": recipe.model,
        "max_tokens": recipe.max_tokens,
        "betas": recipe.betas,
        "needs_columns": sorted(recipe.needs_columns),
        "fingerprint": recipe.fingerprint,
    }
    if request is not None:
        found["request"] = request
        cost = bound(recipe, catalog())(len(msgspec.json.encode(request)))
        found["at_most_usd"] = None if cost is None else str(Decimal(cost))
    return found
