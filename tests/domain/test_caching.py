from decimal import Decimal
from typing import Any

import pytest

from shared.adapters.builtin import catalog
from shared.domain.caching import marked, shared_by
from shared.domain.catalog import Usage
from shared.domain.estimate import bound
from shared.domain.recipe import Recipe, RecipeError, parse_recipe
from shared.domain.system_prompt import ATTACHED_NOTE

MODEL = catalog().find("claude-sonnet-4-6")
RULES = "A rule of this house, to be kept in every review that is written.\n" * 100
MARK = {"type": "ephemeral", "ttl": "1h"}


def recipe(*lines: str, rules: str = RULES, model: str = "claude-sonnet-4-6") -> Recipe:
    head = "\n".join((f"model: {model}", "max_tokens: 100", *lines))
    text = f"---\n{head}\n---\n{rules}\nRead this: {{{{ document.text }}}}\n"
    return parse_recipe(text, name="r.md", catalog=catalog())


def params(content: Any, system: str = "Be brief.") -> dict[str, Any]:
    return {"system": system, "messages": [{"role": "user", "content": content}]}


def test_what_stands_before_the_first_tag_is_shared_by_whole_lines() -> None:
    found = recipe().shared
    assert found is not None
    assert found.prefix == RULES.lstrip() + "\n"
    assert found.size > 6_000


@pytest.mark.parametrize("tag", ["{{- document.text }}", "{%- if true %}{{ x }}{% endif %}"])
def test_white_space_that_a_tag_takes_away_is_not_shared(tag: str) -> None:
    found = shared_by(MODEL, "", f"{RULES}the last line\n\n\n{tag}")
    assert found is not None
    assert found.prefix == RULES


def test_a_prompt_is_cut_behind_what_is_shared_and_says_the_same() -> None:
    found = recipe().shared
    assert found is not None
    after = marked(params(f"{found.prefix}Read this: a contract"), found)
    [message] = after["messages"]
    first, second = message["content"]
    assert first == {"type": "text", "text": found.prefix, "cache_control": MARK}
    assert second == {"type": "text", "text": "Read this: a contract"}
    assert after["system"] == "Be brief."


def test_where_only_the_system_prompt_is_shared_the_mark_is_there() -> None:
    found = shared_by(MODEL, RULES, "{{ document.text }}")
    assert found is not None
    assert found.prefix == ""
    after = marked(params("a contract", RULES), found)
    assert after["system"] == [{"type": "text", "text": RULES, "cache_control": MARK}]
    assert after["messages"] == params("a contract")["messages"]


@pytest.mark.parametrize("content", ["something else", RULES + "\n", [{"type": "image"}]])
def test_a_prompt_that_does_not_begin_so_stays_as_it_is(content: Any) -> None:
    found = recipe().shared
    assert found is not None
    assert marked(params(content), found) == params(content)


@pytest.mark.parametrize(
    "found",
    [
        recipe(rules="Too short."),
        recipe("cache: off"),
        recipe("params:\n  cache_control: {type: ephemeral}"),
        recipe(model="some-other-model"),
        recipe(model="claude-opus-4-6"),
    ],
)
def test_what_is_too_short_turned_off_marked_already_or_unknown_is_not_marked(
    found: Recipe,
) -> None:
    assert found.shared is None


def test_the_fingerprint_knows_whether_there_is_a_mark() -> None:
    assert recipe().fingerprint != recipe("cache: off").fingerprint
    assert recipe().fingerprint == recipe("cache: auto").fingerprint
    short = recipe(rules="Too short.")
    assert short.fingerprint == recipe("cache: off", rules="Too short.").fingerprint


def test_anything_else_than_auto_and_off_is_refused() -> None:
    with pytest.raises(RecipeError, match="neither auto nor off"):
        recipe("cache: always")


def test_the_bound_counts_what_is_shared_as_written_to_the_cache() -> None:
    on, off = recipe(), recipe("cache: off")
    assert on.shared is not None
    size = on.shared.size + 5_000
    dear, cheap = bound(on, catalog())(size), bound(off, catalog())(size)
    assert dear is not None
    assert cheap is not None
    # 1.5 dollars a million more in a batch: written for an hour, it costs twice as much.
    beside = 1_000 + len(ATTACHED_NOTE)
    assert dear - cheap == (on.shared.size + beside) * Decimal("1.5e-6")


def test_what_caching_saved_may_be_less_than_nothing() -> None:
    read = Usage(input_tokens=10, cache_read=1_000_000)
    written = Usage(input_tokens=10, cache_creation_1h=1_000_000)
    assert catalog().saved_by_caching(MODEL, read) == Decimal("1.35")
    assert catalog().saved_by_caching(MODEL, written) == Decimal("-1.5")
    assert catalog().saved_by_caching(MODEL, Usage(input_tokens=10)) == 0
    assert catalog().saved_by_caching(None, read) == 0
