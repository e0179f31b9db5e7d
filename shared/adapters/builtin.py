"""What the package brings along: recipes by name, and the catalog of models."""

from functools import cache
from importlib import resources

from shared.domain.catalog import Catalog


def builtin_recipes() -> dict[str, str]:
    """The text of every built-in recipe, by name, in the order of the names."""
    folder = resources.files("shared.recipes")
    files = sorted((file for file in folder.iterdir()), key=lambda file: file.name)
    return {
        file.name.removesuffix(".md"): file.read_text(encoding="utf-8")
        for file in files
        if file.name.endswith(".md")
    }


@cache
def catalog() -> Catalog:
    """The models this version knows."""
    text = (resources.files("shared.data") / "models.toml").read_text(encoding="utf-8")
    return Catalog.parse(text)
