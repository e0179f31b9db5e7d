"""The converter of a process costs nothing before there is something to convert."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("bs4", "mammoth", "markdownify", "PIL", "pypdfium2", "python_calamine", "pptx", "lxml")
TEXT_ONLY = f"""
import sys
from shared.wiring.conversion import converter
import handlers.submit, handlers.poll, handlers.cli.main
converter()
loaded = [name for name in {HEAVY} if name in sys.modules]
assert not loaded, loaded
assert converter()._child.process is None
"""
A_PAGE = """
import sys
from shared.domain.kinds import Kind
from shared.wiring.conversion import converter
found = converter().convert("a.html", b"<html><p>Page", Kind.HTML, most_pages=1)
assert found.text == "Page\\n", found
assert "bs4" not in sys.modules
"""


@pytest.mark.parametrize("script", [TEXT_ONLY, A_PAGE])
def test_a_converter_is_imported_by_the_child_alone_when_it_is_needed(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
    )
    assert (done.returncode, done.stderr) == (0, "")
