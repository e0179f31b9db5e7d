"""Recipes before they are used: those that are built in, a new one, and one that is looked over."""

import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec

from handlers.cli.faults import Fault
from handlers.cli.inputs import Inputs, key_of, sightings
from handlers.cli.options import Options, load_recipe, parse
from handlers.cli.rehearsal import rehearsal
from handlers.cli.session import translated_errors
from handlers.cli.wording import counted, money
from shared.adapters.builtin import builtin_recipes, catalog
from shared.app.contents import read_contents
from shared.app.folders import folder_sightings, look
from shared.app.requests import Made, Requests
from shared.app.sightings import sightings_of
from shared.domain.answer_form import Output
from shared.domain.caching import FEW
from shared.domain.columns import column
from shared.domain.document import Document, DocumentStatus, Sighting, sighted
from shared.domain.estimate import bound
from shared.domain.ids import custom_id
from shared.domain.manifest import manifest_kind, row_word
from shared.domain.names import escaped
from shared.domain.recipe import Recipe, parse_recipe
from shared.ports.blobs import Blobs
from shared.wiring.laptop import JOB

_NEW = """\
---
description: What this recipe does, in one line
model: claude-opus-4-6
max_tokens: 8192
# output: markdown       # or json, text, html: what each report is written as
# fields:                # the answer's fields, which become columns of results.csv and .parquet
#   urgency: [low, medium, high]
#   due: {type: [string, "null"], format: date, description: By when an answer is expected}
#   open_questions: {type: array, items: string, maxItems: 10}
# documents: folder      # a folder is one document: a contract and its annexes
# archives: document     # a zip, tar or Git work tree is one document; files: one for each file
# split: never           # a document that is too long fails; auto: asked about in parts, merged
# each:                  # several reports of one document; the prompt takes {{ language }}
#   language: [de, fr]
# truth:                 # labels beside a manifest's column of right ones: confusion.csv
#   field: urgency
#   column: truth
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
    found = [
        parse_recipe(text, name=name, catalog=catalog())
        for name, text in sorted(builtin_recipes().items())
    ]
    names = max(len(recipe.name) for recipe in found)
    models = max(len(recipe.model) for recipe in found)
    return [f"{each.name:{names}}  {each.model:{models}}  {each.description}" for each in found]


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
        found = _as_json(recipe, *(request or (None, None)))
        click.echo(json.dumps(found, ensure_ascii=False))
        return 0
    click.echo(escaped(_said(recipe)))
    if request is not None:
        _show(recipe, *request)
    return 0


def _said(recipe: Recipe) -> str:
    longest = counted(recipe.max_tokens, "token")
    parts = [f"{recipe.name} is fine: {recipe.model}, reports of up to {longest}"]
    if recipe.output is not Output.MARKDOWN:
        parts.append(f"as {recipe.output}")
    if fields := recipe.form.fields:
        listed = ", ".join(f"{name} ({column(name, one).kind})" for name, one in fields.items())
        parts.append(f"{counted(len(fields), 'field')}: {listed}")
    parts += [f"beta {beta}" for beta in recipe.betas]
    if recipe.each is not None:
        parts.append(f"one for each {recipe.each.name}: {', '.join(recipe.each.values)}")
    if recipe.truth is not None:
        parts.append(f"{recipe.truth.field} is compared with the column {recipe.truth.column}")
    if recipe.needs_columns:
        parts.append(f"for manifests with {', '.join(sorted(recipe.needs_columns))}")
    if recipe.params:
        parts.append(f"with {', '.join(sorted(recipe.params))}")
    if recipe.max_cost is not None:
        parts.append(f"max_cost {money(recipe.max_cost, digits=2)}")
    return "; ".join(parts)


def _request(recipe: Recipe, path: Path) -> tuple[Made, Document]:
    """What would be sent for a document, or for the first one in a manifest, an archive or a
    folder, and for which: the first part of one that is too long. Raises Fault."""
    shown = escaped(str(path))
    if not path.is_file() and not path.is_dir():
        raise Fault(f"no such file or folder: {shown}")
    given = path.resolve()
    is_folder = given.is_dir()
    inputs = Inputs(folders=(given,) if is_folder else (), files=() if is_folder else (given,))
    options = Options(inputs=(str(given),))
    with (
        tempfile.TemporaryDirectory(prefix="docmill-") as nowhere,
        translated_errors(),
        rehearsal(Path(nowhere) / "out", options, recipe) as deps,
    ):
        seen = _first(deps.documents, inputs, recipe)
        if seen is None:
            raise Fault(f"{shown} holds no document")
        document = sighted(None, seen, job=JOB, now=deps.clock())
        if document is None or document.failure is not None:
            raise _unusable(shown, document)
        _, content = next(read_contents(deps, [document], recipe))
        name = custom_id(document.path, 0, deps.new_batch_id())
        requests = Requests(deps, recipe)
        made = requests.make(document, content, name)
        if isinstance(made, Document) and made.status is DocumentStatus.IN_PARTS and made.parts:
            parts = deps.store.documents(JOB, made.parts.paths(made.path, 0))
            document = parts[min(parts)]
            made = requests.make(document, content, name)
        if isinstance(made, Document):
            raise _unusable(shown, made)
    return made, document


def _first(blobs: Blobs, inputs: Inputs, recipe: Recipe) -> Sighting | None:
    """The first document of a file or a folder; of a table that is no manifest, the one it is in a
    folder; a folder itself where the recipe makes documents of folders."""
    for folder in inputs.folders if recipe.shape.folder_depth else ():
        whole = look(blobs, f"{key_of(folder)}/", folder.name)
        return None if whole is None else next(folder_sightings(whole, recipe))
    seen = next(sightings(blobs, inputs, recipe), None)
    if not inputs.files:
        return seen
    [file] = inputs.files
    if seen is None or seen.failure is None or manifest_kind(file.name, named_directly=False):
        return seen
    as_document = sightings_of(blobs, blobs.stat(key_of(file)), file.name, recipe=recipe)
    return seen if recipe.needs_columns else next(as_document, seen)


def _unusable(shown: str, document: Document | None) -> Fault:
    why = document.failure.message if document and document.failure else "it can't be used"
    return Fault(escaped(f"{shown} can't be sent: {why}"))


def _which(document: Document) -> str:
    """The document that a request is for, as a row of what, and as which part of it."""
    part = document.part
    path = document.path if part is None else part.of
    content = document.content
    if content.is_row and content.row is not None:
        name = content.source.rsplit("/", 1)[-1]
        path += f" ({row_word(name)} {content.row.line} of {name})"
    return path if part is None else f"part {part.place} of {path}"


def _show(recipe: Recipe, made: Made, document: Document) -> None:
    params = msgspec.json.decode(made.request)["params"]
    size = len(made.request)
    cost = bound(recipe, catalog())(made.most_tokens)
    about = f"about {counted(made.likely_tokens, 'token')} in"
    most = "" if cost is None else f", at most {money(cost)} with the longest answer"
    which = escaped(_which(document))
    click.echo(f"the request for {which} has {size:,} bytes, {about}{most}")
    if document.part is not None:
        click.echo("it is one of several: `docmill estimate` says what the whole may cost")
    if recipe.shared is not None:
        click.echo(
            f"where {FEW} or more are sent together, their first {recipe.shared.size:,} bytes are "
            "marked to be cached; cache: off in the recipe leaves that"
        )
    click.echo(f"\n--- system\n{_printable(params['system'])}")
    for message in params["messages"]:
        click.echo(f"\n--- {message['role']}\n{_printable(_told(message['content']))}")
    if recipe.form.fields:
        schema = json.dumps(recipe.form.sent_format["schema"], ensure_ascii=False, indent=2)
        click.echo(f"\n--- the answer's schema\n{_printable(schema)}")
    for loss in made.losses:
        click.echo(f"\nnot in it: {escaped(loss)}")


def _told(content: str | list[dict[str, Any]]) -> str:
    """A message as text: attachments by what they are."""
    if isinstance(content, str):
        return content
    parts = []
    for block in content:
        if block["type"] == "text":
            parts.append(block["text"])
        else:
            source, title = block["source"], block.get("title", "")
            size = counted(len(source["data"]) * 3 // 4, "byte")
            parts.append(f"[{block['type']}: {source['media_type']}, {size}] {title}".rstrip())
    return "\n\n".join(parts)


def _printable(text: str) -> str:
    """Line by line: a document's control characters are not the terminal's to obey."""
    return "\n".join(escaped(line) for line in text.split("\n"))


def _as_json(recipe: Recipe, made: Made | None, document: Document | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "recipe": recipe.name,
        "model": recipe.model,
        "max_tokens": recipe.max_tokens,
        "betas": recipe.betas,
        "output": recipe.output,
        "fields": {name: column(name, one).kind for name, one in recipe.form.fields.items()},
        "needs_columns": sorted(recipe.needs_columns),
        "each": None if recipe.each is None else {recipe.each.name: recipe.each.values},
        "fingerprint": recipe.fingerprint,
    }
    if made is not None and document is not None:
        part = document.part
        found["document"] = document.path if part is None else part.of
        found["part"] = None if part is None else {"number": part.number + 1, "of": part.count}
        found["request"] = msgspec.json.decode(made.request)
        if made.losses:
            found["losses"] = made.losses
        cost = bound(recipe, catalog())(made.most_tokens)
        found["at_most_usd"] = None if cost is None else str(Decimal(cost))
    return found
