import pytest

from shared.domain.unfinished import GO_ON, continuation, join

_SENTENCE = "The supplier may terminate with ninety days' notice. "


@pytest.mark.parametrize(
    ("text", "more", "whole"),
    [
        ("The suppl", "ier pays.", "The supplier pays."),
        ("Ends here. ", "And goes on.", "Ends here. And goes on."),
        (f"First. {_SENTENCE}", f"{_SENTENCE}Last.", f"First. {_SENTENCE}Last."),
        (
            "## Risks\n\nThe contract renews itself every ye",
            "The contract renews itself every year, unless",
            "## Risks\n\nThe contract renews itself every year, unless",
        ),
        ("a", "", "a"),
    ],
)
def test_two_answers_are_joined_without_a_seam(text: str, more: str, whole: str) -> None:
    assert join(text, more) == whole


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("the cat the ", "the dog"),
        ("| " + "-" * 40, "-" * 40 + " |"),
        ("[" + '{"label": "none", "why": ""},' * 2, '{"label": "none", "why": ""},' * 3),
        (_SENTENCE, _SENTENCE + _SENTENCE),
    ],
)
def test_what_may_be_there_twice_by_right_is_never_lost(text: str, more: str) -> None:
    assert join(text, more) == text + more


def test_the_longest_repetition_is_found_behind_false_starts() -> None:
    ending = "abcabcabd and what follows is far enough"
    assert join(f"x {ending}", f"{ending}. End.") == f"x {ending}. End."


def test_a_continuation_ends_with_the_persons_words_and_has_no_schema() -> None:
    params = {
        "model": "m",
        "messages": [{"role": "user", "content": "Review this."}],
        "output_config": {"format": {"type": "json_schema"}, "effort": "low"},
    }
    after = continuation(params, "So far")
    assert after["messages"] == [
        {"role": "user", "content": "Review this."},
        {"role": "assistant", "content": "So far"},
        {"role": "user", "content": GO_ON},
    ]
    assert after["output_config"] == {"effort": "low"}
    assert params["messages"] == [{"role": "user", "content": "Review this."}]
    del params["output_config"]["effort"]  # type: ignore[attr-defined]  # it is a dict
    assert "output_config" not in continuation(params, "So far")
