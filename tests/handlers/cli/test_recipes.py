"""`docmill recipes`: those built in, a new one, and what would be sent by one."""

import json
import re
from datetime import datetime
from pathlib import Path

import pytest

from shared.adapters.builtin import builtin_recipes
from shared.adapters.simulator.core import Simulator
from shared.adapters.simulator.messages import Request, Response
from shared.domain.recipe import KEYS
from tests.handlers.cli.command import Docmill, Provider

QUICK = ("--poll-interval", "0.05", "--yes")


@pytest.mark.parametrize("like", [None, *builtin_recipes()])
def test_a_new_recipe_works_as_it_is(
    tmp_path: Path, docmill: Docmill, provider: Provider, like: str | None
) -> None:
    mine, document = tmp_path / "mine.md", tmp_path / "doc.txt"
    document.write_text("What it is about.")
    made = docmill("recipes", "new", mine, *(("--from", like) if like else ()))
    assert (made.status, made.err) == (0, "")
    assert docmill("recipes", "check", mine).out.startswith("mine.md is fine: claude-")
    ran = docmill("run", document, "--out", tmp_path / "out", "--recipe", mine, *QUICK)
    assert ran.status == 0, ran.err


def test_a_new_recipe_names_every_key_and_what_it_offers_is_fine(
    tmp_path: Path, docmill: Docmill
) -> None:
    mine = tmp_path / "mine.md"
    docmill("recipes", "new", mine)
    text = mine.read_text()
    offered = set(re.findall(r"^(?:# )?([a-z_]+):", text, re.MULTILINE))
    assert offered == set(KEYS)
    for key in ("documents", "archives", "split", "max_wait", "max_attempts", "max_cost"):
        mine.write_text(text.replace(f"# {key}:", f"{key}:", 1))
        assert docmill("recipes", "check", mine).status == 0, key


def test_the_request_shown_is_the_one_that_is_sent(
    tmp_path: Path, docmill: Docmill, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []
    apply = Simulator.apply

    def watched(self: Simulator, now: datetime, request: Request) -> Response:
        if request.method == "POST":
            sent.append(bytes(request.body))
        return apply(self, now, request)

    monkeypatch.setattr(Simulator, "apply", watched)
    document, mine = tmp_path / "doc.txt", tmp_path / "mine.md"
    document.write_text("Grüße \x1b[31m an alle")
    docmill("recipes", "new", mine)
    shown = docmill("recipes", "check", mine, document)
    assert "\x1b" not in shown.out
    assert "Grüße \\x1b[31m an alle" in shown.out
    [found] = docmill("recipes", "check", mine, document, "--json").events
    docmill("run", document, "--out", tmp_path / "out", "--recipe", mine, *QUICK)
    [request] = json.loads(sent[0])["requests"]
    assert found["request"]["params"] == request["params"]
    assert found["request"]["custom_id"][:-12] == request["custom_id"][:-12]  # but for the batch


def test_of_a_manifest_the_first_row_is_shown(
    tmp_path: Path, docmill: Docmill, provider: Provider
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("id,name,text\n1,Ada,likes engines\n2,Bob,likes boats\n")
    mine = tmp_path / "mine.md"
    mine.write_text("---\nmodel: claude-opus-4-6\n---\nGreet {{ name }}: {{ document.text }}\n")
    [found] = docmill("recipes", "check", mine, rows, "--json").events
    assert found["needs_columns"] == ["name"]
    content = found["request"]["params"]["messages"][0]["content"]
    assert "Ada" in content
    assert "Bob" not in content


def test_it_says_which_document_or_part_the_request_is_for(
    tmp_path: Path, docmill: Docmill
) -> None:
    head = "---\nmodel: claude-haiku-4-5\nmax_tokens: 1000\n"
    plain, folders = tmp_path / "plain.md", tmp_path / "folders.md"
    plain.write_text(f"{head}---\n{{{{ document.text }}}}\n")
    folders.write_text(f"{head}documents: folder\n---\n{{{{ document.text }}}}\n")
    acme = tmp_path / "fd" / "acme"
    acme.mkdir(parents=True)
    (acme / "a.md").write_text("The contract.")
    (acme / "b.md").write_text("The annex.")
    (tmp_path / "rows.jsonl").write_text('{"id": "r1", "text": "x"}\n')
    (tmp_path / "long.txt").write_text("A sentence of many. " * 100_000)

    def said(recipe: Path, document: Path) -> str:
        done = docmill("recipes", "check", recipe, document)
        assert (done.status, done.err) == (0, "")
        return next(line for line in done.out.splitlines() if line.startswith("the request for"))

    assert said(plain, acme / "a.md").startswith("the request for a.md has ")
    assert said(plain, acme).startswith("the request for a.md has ")
    row = "the request for r1 (line 1 of rows.jsonl) has "
    assert said(plain, tmp_path / "rows.jsonl").startswith(row)
    assert said(folders, acme).startswith("the request for acme has ")
    assert re.match(
        r"the request for part 1 of \d of long.txt has ", said(plain, tmp_path / "long.txt")
    )
    [whole] = docmill("recipes", "check", folders, acme, "--json").events
    assert (whole["document"], whole["part"]) == ("acme", None)
    content = str(whole["request"]["params"]["messages"])
    assert "The contract." in content
    assert "The annex." in content
    [part] = docmill("recipes", "check", plain, tmp_path / "long.txt", "--json").events
    assert part["document"] == "long.txt"
    assert part["part"]["number"] == 1 < part["part"]["of"]


@pytest.mark.parametrize(
    ("recipe", "document", "why"),
    [
        ("---\nmodel: claude-opus-4-6\nmodle: x\n---\n{{ document.text }}", "text", "modle"),
        ("---\nmodel: claude-opus-4-6\n---\nno document", "text", "takes nothing of the document"),
        ("---\nmodel: claude-opus-4-6\n---\n{{ document.text }}", "", "can't be sent"),
        ("---\nmodel: claude-opus-4-6\n---\n{{ document.text }}", None, "no such file"),
        ("---\nmodel: claude-opus-4-6\n---\n{{ name }}", "text", "only rows of a manifest have"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, docmill: Docmill, recipe: str, document: str | None, why: str
) -> None:
    mine, file = tmp_path / "mine.md", tmp_path / "doc.txt"
    mine.write_text(recipe)
    if document is not None:
        file.write_text(document)
    done = docmill("recipes", "check", mine, file)
    assert done.status == 2
    assert why in done.said


def test_a_file_is_never_written_over(tmp_path: Path, docmill: Docmill) -> None:
    mine = tmp_path / "mine.md"
    mine.write_text("mine")
    done = docmill("recipes", "new", mine)
    assert (done.status, mine.read_text()) == (2, "mine")
    assert "is there already" in done.said
