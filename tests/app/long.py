"""What tests of long documents say often: a model with a small context, and a text beyond it."""

from dataclasses import replace

from shared.adapters.builtin import catalog
from shared.domain.catalog import Catalog
from shared.domain.document import Document
from shared.domain.recipe import parse_recipe
from tests.app.home import JOB, Home

CONTEXT = 4_000
RECIPE = """---
model: claude-opus-4-6
max_tokens: 500
max_wait: 10m
{more}---
Review {{{{ document.path }}}}.

## Risks

{{{{ document.text }}}}
"""


def small(context: int = CONTEXT) -> Catalog:
    """The catalog, but every model takes so many tokens only."""
    known = catalog()
    models = tuple(
        replace(model, context_window=context, max_output=min(model.max_output, context))
        for model in known.models
    )
    return replace(known, models=models)


def shrink(
    home: Home,
    *,
    context: int = CONTEXT,
    more: str = "",
    max_tokens: int = 500,
    model: str = "claude-opus-4-6",
) -> None:
    """Give the home a small model, and a recipe that suits it."""
    text = RECIPE.format(more=more).replace("max_tokens: 500", f"max_tokens: {max_tokens}")
    text = text.replace("claude-opus-4-6", model)
    home.recipe = parse_recipe(text, name="recipe.md", catalog=small(context))
    home.deps = replace(home.deps, catalog=small(context))


def text(characters: int = 25_000, word: str = "clause") -> str:
    """A long text with headings and paragraphs; 25,000 characters are six parts."""
    sections: list[str] = []
    number = size = 0
    while size < characters:
        number += 1
        body = "\n\n".join(f"{word} {number}.{line} says this and that." for line in range(20))
        sections.append(f"## Section {number}\n\n{body}\n\n")
        size += len(sections[-1])
    return "".join(sections)


def parts(home: Home, path: str) -> list[Document]:
    """The records of a document's parts."""
    whole = home.documents()[path]
    if whole.parts is None:
        return []
    found = home.store.documents(JOB, whole.parts.all_paths(path))
    return [found[each] for each in sorted(found)]
