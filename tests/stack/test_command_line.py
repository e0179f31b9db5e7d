"""The deployed stack as a person works with it: docmill's commands and nothing else."""

from pathlib import Path

from tests.stack.deployed import RECIPE, Deployed

NAMES = ("a.md", "legal/Vertrag (Entwurf) 'neu'.txt", "legal/契約+100%2F.txt", "legal/été.md")


def test_what_is_dropped_is_reported_and_fetched(stack: Deployed, tmp_path: Path) -> None:
    job = "dropped"
    source, recipe, out = tmp_path / "in", tmp_path / "minutes.md", tmp_path / "out"
    recipe.write_bytes(RECIPE)
    for name in NAMES:
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"What {name} says.")
    dropping = ("drop", source, "--job", job, "--recipe", recipe, "--ready")
    for uploaded in (len(NAMES), 0):  # the second finds all of it there
        assert stack.docmill(*dropping)[-1]["uploaded"] == uploaded
    stack.until(lambda: len(stack.reports(job)) == len(NAMES), "no reports", meanwhile=["Poll"])
    stack.until(
        lambda: stack.summary(job).get("documents", {}).get("reported") == len(NAMES),
        "no summary",
        meanwhile=["Reconcile"],
    )
    assert stack.docmill("status", "--job", job)
    stack.docmill("reports", "fetch", "--job", job, "--out", out)
    assert {str(path.relative_to(out)) for path in out.rglob("*.md")} == {f"{n}.md" for n in NAMES}
    assert len(stack.paid(job)) == len(NAMES)
