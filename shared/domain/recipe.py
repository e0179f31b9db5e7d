"""Recipes: what a job asks of the model, checked whole before anything is spent."""

import difflib
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from shared.domain import front_matter
from shared.domain.answer_form import AnswerForm, Output
from shared.domain.api_params import USUAL_PARAMS, why_refused
from shared.domain.caching import Shared, shared_by
from shared.domain.catalog import Catalog, Model, output_plan
from shared.domain.front_matter import FrontMatter, shown
from shared.domain.recipe_error import RecipeError
from shared.domain.recipe_input import INPUT_KEYS, InputShape, input_shape
from shared.domain.recipe_output import parse_form
from shared.domain.recipe_requests import REQUEST_KEYS, continuations_of, may_cache
from shared.domain.recipe_split import Split, split_of
from shared.domain.system_prompt import with_note
from shared.domain.template import DOCUMENT_FIELDS, Guard, Own, PromptError, PromptTemplate
from shared.domain.truth import Truth, parse_truth
from shared.domain.variants import Each, parse_each

__all__ = ["Output", "Recipe", "RecipeError", "parse_recipe"]

DEFAULT_MAX_TOKENS = 8_192  # ours: a long report, below the cap of every model
DEFAULT_MAX_WAIT = timedelta(minutes=15)
LONGEST_MAX_WAIT = timedelta(days=30)  # ours: results themselves are kept for 29
DEFAULT_MAX_ATTEMPTS = 3
MOST_ATTEMPTS = 10
MAX_RECIPE_CHARACTERS = 500_000  # ours: many examples fit, and reading it takes no second

KEYS = (
    "model",
    "max_tokens",
    "system",
    "output",
    "fields",
    "each",
    "truth",
    "max_wait",
    "group_by",
    "max_attempts",
    "max_cost",
    "description",
    "params",
    *REQUEST_KEYS,
    "split",
    *INPUT_KEYS,
)
_MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,199}")
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*([smhd]?)", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_FINAL_FAULTS = frozenset(
    {
        "UnknownFilter",
        "UnknownTest",
        "UnknownFunction",
        "TemplateNotFound",
        "BadInclude",
        "OutOfFuel",
        "SyntaxError",
        "TooComplex",
        "Died",
        "OutOfTime",
    }
)


GROUPINGS = ("folder", "none", "date")
"""What `group_by` may say besides a manifest's column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A recipe that is known to be usable.

    `fingerprint` changes exactly when a document's request would. `needs_columns` are the columns
    that the template can't do without. `shape` says what of the input is one document, which is in
    no request. `template_line` is the line of the file that the template begins on, `guard` what
    renders it where it isn't plain. `sent_params` are `params` with the form that answers have to
    have. `each` makes several documents of one, `truth` compares answers with a column.
    `continuations` is how often an answer that was cut off is asked to go on, `shared` what is
    marked to be cached.
    """

    name: str
    model: str
    max_tokens: int
    betas: tuple[str, ...]
    system: str | None
    form: AnswerForm
    max_wait: timedelta
    group_by: str
    max_attempts: int
    max_cost: Decimal | None
    params: Mapping[str, Any]
    description: str | None
    template: str
    template_line: int
    needs_columns: frozenset[str]
    continuations: int = 0
    shared: Shared | None = None
    split: Split = Split.AUTO
    each: Each | None = None
    truth: Truth | None = None
    shape: InputShape = field(default_factory=InputShape)
    guard: Guard | None = field(default=None, compare=False, repr=False)
    sent_params: Mapping[str, Any] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sent_params", self._with_format())

    def _with_format(self) -> Mapping[str, Any]:
        if not self.form.fields:
            return self.params
        config = {**self.params.get("output_config", {}), "format": self.form.sent_format}
        return {**self.params, "output_config": config}

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of everything that the recipe puts into a request."""
        parts = [
            self.model,
            self.max_tokens,
            self.betas,
            self.system,
            sorted(self.sent_params.items()),
            self.template,
            *([self.truth.column] if self.truth else []),  # which is withheld
        ]
        if self.shared is not None:
            parts.append("cached")
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def output(self) -> Output:
        """What its reports are written as."""
        return self.form.output

    @property
    def inference_geo(self) -> str | None:
        """Where the request asks to be computed; prices depend on it."""
        geo = self.params.get("inference_geo")
        return geo if isinstance(geo, str) else None

    @property
    def writes_cache(self) -> bool:
        """Whether a prompt may be written to the cache, which costs more than reading it."""
        return "cache_control" in json.dumps(self.params)


def parse_recipe(
    text: str,
    *,
    name: str,
    catalog: Catalog,
    model_override: str | None = None,
    guard: Guard | None = None,
) -> Recipe:
    """The recipe in a Markdown file's `text`. Raises RecipeError: one line, with its place.

    `name` is what errors call the file. `model_override` takes the place of its `model`. `guard`
    renders what could outgrow this process.
    """
    if len(text) > MAX_RECIPE_CHARACTERS:
        raise RecipeError(
            f"{name}:1: longer than {MAX_RECIPE_CHARACTERS:,} characters, too long for a recipe"
        )
    head = front_matter.split(text, name=name)
    _check_keys(head)
    model = _model(head, model_override)
    max_tokens = head.integer("max_tokens", DEFAULT_MAX_TOKENS, least=1, most=10**7)
    try:
        betas = output_plan(catalog.find(model), max_tokens)
    except RecipeError as error:
        raise RecipeError(f"{head.place('max_tokens')}: {error}") from None
    params = _params(head)
    form = parse_form(head, params)
    each = parse_each(head)
    own = own_words(form, each, each.values[0] if each else None)
    source = head.body.strip()
    template, line = _template(head, source, guard, own)
    truth = parse_truth(head, form.fields)
    if truth is not None and truth.column in template.columns:
        raise head.error(
            "truth", f"the prompt uses the column {truth.column}, which is withheld from it"
        )
    recipe = Recipe(
        name=name,
        model=model,
        max_tokens=max_tokens,
        betas=betas,
        system=head.text("system"),
        form=form,
        max_wait=_max_wait(head),
        group_by=head.text("group_by", longest=200, one_line=True) or "folder",
        max_attempts=head.integer(
            "max_attempts", DEFAULT_MAX_ATTEMPTS, least=1, most=MOST_ATTEMPTS
        ),
        max_cost=_max_cost(head),
        params=params,
        description=head.text("description"),
        template=source,
        template_line=line,
        needs_columns=template.needed_columns - own.values.keys(),
        continuations=continuations_of(head),
        shared=_shared(head, catalog.find(model), source),
        split=split_of(head),
        each=each,
        truth=truth,
        shape=input_shape(head),
        guard=guard,
    )
    try:
        check_max_cost(recipe, catalog)
    except RecipeError as error:
        raise RecipeError(f"{name}: {error}") from None
    return recipe


def _shared(head: FrontMatter, model: Model | None, template: str) -> Shared | None:
    """What is marked to be cached, unless `params` say themselves what is."""
    if not may_cache(head) or "cache_control" in json.dumps(_params(head)):
        return None
    return shared_by(model, with_note(head.text("system")), template)


def _check_keys(head: FrontMatter) -> None:
    for key in head.values:
        if key not in KEYS and (problem := why_refused(key)):
            raise head.error(key, problem)
        if key in USUAL_PARAMS:
            raise head.error(key, "a parameter of the Messages API; put it under 'params:'")
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(KEYS)}"
            raise RecipeError(f"{head.place(key)}: unknown key {key!r}; {hint}")


def _model(head: FrontMatter, override: str | None) -> str:
    model, place = (
        (head.text("model"), head.place("model")) if override is None else (override, "--model")
    )
    if model is None:
        raise RecipeError(
            f"{head.name}:1: no model; add a line such as 'model: claude-opus-4-6' or use --model"
        )
    if not _MODEL_ID.fullmatch(model):
        raise RecipeError(
            f"{place}: {shown(model)} is not a model's id; write one such as claude-opus-4-6"
        )
    return model


def _max_wait(head: FrontMatter) -> timedelta:
    value = head.get("max_wait")
    if value is None:
        return DEFAULT_MAX_WAIT
    seconds = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(min(value, 10**12))
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        seconds = float(match[1]) * _SECONDS[match[2]]
    if not 0 <= seconds <= LONGEST_MAX_WAIT.total_seconds():
        raise head.error(
            "max_wait",
            f"{shown(value)} is not a time from 0 to {LONGEST_MAX_WAIT.days} days; "
            "write seconds, or 90s, 15m, 2h, 1d",
        )
    return timedelta(seconds=seconds)


def _max_cost(head: FrontMatter) -> Decimal | None:
    value = head.get("max_cost")
    if value is None:
        return None
    try:
        return amount(str(value))
    except RecipeError:
        raise head.error(
            "max_cost", f"{shown(value)} is no amount; write US dollars, such as 25 or 0.50"
        ) from None


def amount(text: str) -> Decimal:
    """US dollars, above zero. Raises RecipeError."""
    try:
        dollars = Decimal(text.strip().removeprefix("$"))
    except InvalidOperation:
        dollars = Decimal(0)
    if not dollars.is_finite() or not 0 < dollars < 10**9:
        raise RecipeError(f"{shown(text)} is no amount of US dollars")
    return dollars


_UNBOUNDED = ("tools", "mcp_servers", "container")
"""Parameters that let a model use more than its prompt and its answer."""


def check_max_cost(recipe: Recipe, catalog: Catalog) -> None:
    """Raise RecipeError when what the recipe may cost can't be bounded, and it is to be."""
    if recipe.max_cost is None:
        return
    model = catalog.find(recipe.model)
    if model is None or not model.prices:
        raise RecipeError(
            f"max_cost: the price of {recipe.model} is not known, so it can't be kept; "
            "leave it out or choose another model"
        )
    unbounded = [name for name in _UNBOUNDED if recipe.params.get(name)]
    if unbounded:
        raise RecipeError(
            f"max_cost: what {unbounded[0]} cost can't be told before, so it can't be kept; "
            f"leave it or the {unbounded[0]} out"
        )


def _params(head: FrontMatter) -> dict[str, Any]:
    params = head.get("params")
    if params is None:
        return {}
    if not isinstance(params, dict):
        raise head.error("params", "is not a mapping; indent 'key: value' lines below it")
    for key, value in params.items():
        problem = why_refused(key, value)
        if problem:
            raise RecipeError(f"{head.place('params', key)}: params.{key}: {problem}")
    return params


def own_words(form: AnswerForm, each: Each | None, variant: str | None) -> Own:
    """What a recipe gives to its prompt itself: its fields, and one of its values."""
    values: dict[str, Any] = {"fields": form.fields} if form.fields else {}
    return Own.of(values | ({each.name: variant} if each and variant is not None else {}))


def _template(
    head: FrontMatter, source: str, guard: Guard | None, own: Own
) -> tuple[PromptTemplate, int]:
    """The prompt's template and its first line, tried once on made-up data.

    The trial finds what no document could get past (an unknown filter, say); what depends on a
    document's data is that document's failure.
    """
    body = head.body
    line = head.body_line + body[: len(body) - len(body.lstrip())].count("\n")
    if not source:
        raise RecipeError(
            f"{head.name}:{line}: no prompt; write one below the front matter, "
            "with {{ document.text }} where the document belongs"
        )
    try:
        template = PromptTemplate(source, guard=guard)
    except PromptError as error:
        raise _template_error(head, line, error) from error
    for name in sorted(template.document_fields - set(DOCUMENT_FIELDS)):
        at = line + source.partition(f"document.{name}")[0].count("\n")
        raise RecipeError(
            f"{head.name}:{at}: the prompt uses document.{name}; a document has only "
            + ", ".join(f"document.{known}" for known in DOCUMENT_FIELDS)
        )
    columns = dict.fromkeys(template.columns, "sample")
    document = dict.fromkeys(DOCUMENT_FIELDS, "sample")
    try:
        values = {**columns, "columns": columns, "document": document}
        template.render(values, salt=b"", own=own)
    except PromptError as error:
        if error.kind in _FINAL_FAULTS or str(error).startswith("`document"):
            raise _template_error(head, line, error) from error
    if not template.reads_document(besides=own.values.keys()):
        raise RecipeError(
            f"{head.name}:{line}: the prompt takes nothing of the document, so every report would "
            "be the same; put {{ document.text }} where the document belongs"
        )
    return template, line


def _template_error(head: FrontMatter, first_line: int, error: PromptError) -> RecipeError:
    at = first_line + (error.line or 1) - 1
    return RecipeError(f"{head.name}:{at}: the prompt's template: {error}; correct it")
