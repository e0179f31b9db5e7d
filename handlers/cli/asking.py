"""What a job will cost, said before anything is sent, and a question where there has to be one."""

from collections.abc import Callable, Sequence

from handlers.cli.agreeing import Consent, agreed, exposure
from handlers.cli.faults import Fault
from handlers.cli.session import Session
from handlers.cli.wording import NOTE, priced
from shared.adapters.builtin import catalog
from shared.app.control import Wanted, would_wait
from shared.app.load import waiting
from shared.wiring.laptop import JOB


def agreed_on(
    work: Session, again: Sequence[Wanted], given: Consent, undo: Callable[[], None]
) -> bool:
    """Say what it will cost, and ask where that is more than may be spent without a yes.

    What is to be tried `again` is counted in and stays failed until then: a no changes nothing.
    Where nobody can be asked, what was taken in is undone before that is raised as a Fault.
    """
    found = waiting(work.deps, JOB, work.recipe, also=would_wait(work.deps, JOB, *again))
    if not found.load.documents:
        return True
    mean = work.summary().totals.report_tokens
    guess = found.estimate(work.recipe, catalog(), report_tokens=mean)
    simulated = work.options.simulate
    text = priced(
        guess,
        work.recipe,
        simulated=simulated,
        so_far=mean is not None,
        nearest=catalog().nearest(work.recipe.model),
    )
    work.deps.emit(NOTE, message=text)
    work.deps.emit(
        "estimated",
        recipe=work.recipe.name,
        model=work.recipe.model,
        documents=guess.documents,
        requests=guess.requests,
        input_tokens=guess.input_tokens,
        report_tokens=guess.report_tokens,
        max_tokens=work.recipe.max_tokens,
        likely_usd=guess.likely,
        at_most_usd=guess.at_most,
        max_cost_usd=work.recipe.max_cost,
    )
    if simulated:
        return True
    try:
        return agreed(exposure(guess, work.recipe), given, pausing=work.display.paused())
    except Fault:
        undo()
        raise
