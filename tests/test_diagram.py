from tests.diagram import drawn, in_readme


def test_the_readme_draws_the_life_of_a_batch_as_the_code_runs_it() -> None:
    assert in_readme() == drawn(), "run `python -m tests.diagram`"
