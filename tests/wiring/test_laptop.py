from pathlib import Path

import pytest

from shared.wiring.laptop import (
    OutputBusy,
    OutputUnusable,
    locked,
    open_store,
    state_folder,
)


def test_only_one_process_works_on_an_output(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(OutputBusy, match="another docmill"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_who_comes_second_leaves_the_first_one_s_spool_alone(tmp_path: Path) -> None:
    with locked(tmp_path):
        left = state_folder(tmp_path) / "spool" / "body"
        left.write_text("x")
        with pytest.raises(OutputBusy), locked(tmp_path):
            pass
        assert left.exists()
    with locked(tmp_path):
        assert not left.exists()


def test_an_output_that_cannot_be_made_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputUnusable), locked(tmp_path / "file" / "out"):
        pass


@pytest.mark.parametrize("name", ["summary.json", "failures.jsonl"])
def test_a_file_of_the_persons_own_is_not_taken_for_docmills(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"my": "budget"}')
    with locked(tmp_path), pytest.raises(OutputUnusable, match=f"{name} is there"):
        open_store(tmp_path)
    (tmp_path / name).write_text("")
    with locked(tmp_path):
        open_store(tmp_path).close()
    (tmp_path / name).write_text('{"my": "budget"}')  # there is a state: the name is taken
    with locked(tmp_path):
        open_store(tmp_path).close()
