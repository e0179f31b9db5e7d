"""What is said to a person: events as sentences; amounts, times and counts as one reads them."""

from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from shared.domain.confusion import Agreement
from shared.domain.document import DocumentStatus
from shared.domain.estimate import Estimate
from shared.domain.names import CONFUSION, escaped
from shared.domain.pause import PauseReason
from shared.domain.recipe import Recipe
from shared.domain.summary import Summary
from shared.wiring.laptop import utc_now

_LESS = "less than"
NOTE = "note"
"""An event for people only: it says in words what another says in numbers."""

SENTENCES = {
    "kept_reports_written": "{reports:kept report} put in its place",
    "requeued": "{documents:failed document} to be tried again",
    "cancel_asked": "{batches:batch} asked to stop; what is finished is collected",
    "declined": "nothing was submitted",
    "sampled": "a sample of {documents:document}, of {of:}",
    "document_split": "{document} is too long for one request: {missing:} of {parts:part} are "
    "asked about, and the answers then merged",
    "documents_held": "{documents:document} {message}",
    "reports_of_another_recipe": "{reports:report} made by another recipe or model, and kept; for "
    "new ones use another --out",
    "batch_submitting": "submitting batch {batch}: {requests:request}, {bytes:byte}",
    "batch_submitted": "batch {batch} submitted as {provider_id}: {requests:request}",
    "batch_ended": "batch {batch} ended",
    "batch_collected": "batch {batch} collected: {reported} reported, {failed} failed, "
    "{retried} to be tried again, {cost_usd:$}",
    "batch_refused": "batch {batch} was refused: {message}",
    "batch_in_doubt": "no answer for batch {batch} ({message}): {requests:document} on hold until "
    "it is certain whether it exists",
    "batch_adopted": "batch {batch} exists after all, as {provider_id}",
    "batch_released": "batch {batch} was {message}; its documents wait again",
    "batch_not_found": "batch {batch} isn't known where it is looked for ({message}); are the key, "
    "its workspace and ANTHROPIC_BASE_URL those that it was submitted with?",
    "batch_vanished": "batch {batch}: {message}",
    "doubt_given_up": "{message}",
    "orphan_left": "{provider_id} came too late for batch {batch} and could not be canceled "
    "({message}); cancel it at the provider",
    "batch_canceling": "batch {batch} is being canceled",
    "cancel_failed": "batch {batch} could not be canceled: {message}",
    "collecting_put_off": "results of batch {batch} will be read again: {message}",
    "check_failed": "batch {batch} could not be looked at: {message}",
    "document_failed": "failed: {document}: {message}",
    "submitting_paused": "submitting waits until {until:@}: {message}",
    "submitting_resumed": "submitting goes on",
    NOTE: "{message}",
}
"""Events that a person is told of; the others are for programs. `{x:noun}` counts, `{x:$}` is an
amount and `{x:@}` a time."""

_WAITS = frozenset({"submitting_paused", "collecting_put_off"})


def sentence(event: str, facts: dict[str, object], *, now: datetime | None = None) -> str | None:
    """What an event is in words, on one line; None for events that only programs are told of."""
    pattern = SENTENCES.get(event)
    if pattern is None:
        return None
    at = now or utc_now()
    return escaped(pattern.format(**{name: _Said(value, at) for name, value in facts.items()}))


class Telling:
    """The sentences of one command, which doesn't say that anything waits once nothing does."""

    def __init__(self) -> None:
        self._stopped = False

    def sentence(self, event: str, facts: dict[str, object]) -> str | None:
        """`sentence`, and None for what a refused key or address ends: the last line tells it."""
        if event == "submitting_paused" and facts.get("reason") == PauseReason.ACCESS:
            self._stopped = True
        if self._stopped and event in _WAITS:
            return None
        return sentence(event, facts)


class _Said:
    """A fact on its way into a sentence."""

    def __init__(self, value: object, now: datetime) -> None:
        self._value = value
        self._now = now

    def __format__(self, how: str) -> str:
        value = self._value
        if how == "$":
            return _amount(value)
        if how == "@":
            return _time(value, self._now)
        if not isinstance(value, int):
            return str(value)
        return counted(value, how) if how else f"{value:,}"


def _amount(value: object) -> str:
    try:
        return money(Decimal(str(value)))
    except InvalidOperation:
        return str(value)


def _time(value: object, now: datetime) -> str:
    try:
        return moment(datetime.fromisoformat(str(value)), now=now)
    except ValueError:
        return str(value)


def counted(number: int, noun: str) -> str:
    """`1 request`, `2,000 batches`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}{'es' if noun.endswith('ch') else 's'}"


def money(amount: Decimal, *, digits: int = 4) -> str:
    """Dollars; what is too small for the digits is said to be, and is not nothing."""
    least = Decimal(1).scaleb(-digits)
    if 0 < amount < least:
        return f"{_LESS} ${least}"
    return f"${amount:,.{digits}f}" if amount else "$0.00"


def about(amount: Decimal) -> str:
    """Dollars and cents that are a guess."""
    text = money(amount, digits=2)
    return text if text.startswith(_LESS) else f"about {text}"


def moment(at: datetime, *, now: datetime) -> str:
    """A time of day in UTC, with its date when that is not today's."""
    return f"{at:%H:%M:%S} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def span(time: timedelta) -> str:
    """Hours, minutes and seconds."""
    minutes, seconds = divmod(int(time.total_seconds()), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def dollars(summary: Summary) -> str:
    """What was spent, and whether some of it isn't known."""
    text = money(summary.totals.cost)
    unpriced = summary.totals.unpriced
    return f"{text} and {counted(unpriced, 'request')} of unknown price" if unpriced else text


def _by_caching(summary: Summary) -> str:
    """What caching did, where it was used."""
    saved = summary.totals.saved_by_caching
    if not saved:
        return ""
    if saved < 0:
        return f" (caching cost {money(-saved)} more than it saved)"
    return f" (caching saved {money(saved)})"


def priced(
    guess: Estimate, recipe: Recipe, *, simulated: bool, so_far: bool, nearest: str | None = None
) -> str:
    """What a run will do and may cost. `so_far`: the reports there are say how long they get.

    `nearest` is a model that is priced, for one that isn't.
    """
    text = (
        f"recipe {recipe.name}, {recipe.model}: {counted(guess.documents, 'document')}, "
        f"{_in_parts(guess)}"
        f"about {counted(guess.input_tokens, 'token')} in; "
    )
    if guess.likely is None or guess.at_most is None:
        text += f"the price of {recipe.model} is not known"
        if nearest is not None:
            text += f" (did you mean {nearest}?)"
    else:
        most = money(guess.at_most, digits=2)
        without = money(guess.likely_without_batches or Decimal(0), digits=2)
        longest = f"all {counted(recipe.max_tokens, 'token')} it may have"
        if guess.tries > 1:
            longest += f", {guess.tries} times, as one that doesn't fit its fields is paid for too"
        if guess.report_tokens >= recipe.max_tokens and guess.tries == 1:
            text += f"at most {most}, with each report at {longest}"
        else:
            text += (
                f"{about(guess.likely)} ({without} without batches) if reports "
                f"run to {counted(guess.report_tokens, 'token')}{', as so far' if so_far else ''}, "
                f"at most {most}, with each at {longest}"
            )
    if recipe.max_cost is not None:
        text += f"; max_cost keeps all of the job to {money(recipe.max_cost, digits=2)}"
        if guess.at_most is not None and guess.at_most > recipe.max_cost:
            text += ", so it may go in parts, each after the one before turned out cheaper"
    return text + (" (at the API's price; simulated, so nothing)" if simulated else "")


def _in_parts(guess: Estimate) -> str:
    if guess.requests <= guess.documents:
        return ""
    return f"in {counted(guess.requests, 'request')} as some are too long for one, "


def agreed(found: Agreement) -> str:
    """How the answers stand beside the truth."""
    if found.accuracy is None:
        return f"{found.field}: no answer has a truth beside it"
    share = f"{found.accuracy * 100:.1f}%"
    text = f"{found.field} right in {found.right:,} of {found.answered:,} ({share})"
    return f"{text}, {found.unanswered:,} without an answer" if found.unanswered else text


def closing(summary: Summary, out: str, *, simulated: bool) -> str:
    """The last line of a run."""
    counts = summary.documents
    failed = counts[DocumentStatus.FAILED]
    reported = counts[DocumentStatus.REPORTED]
    text = f"{reported:,} of {counted(summary.total, 'document')} reported"
    if failed:
        text += f", {failed:,} failed (why: {out}/failures.jsonl)"
    if summary.open:
        text += f", {summary.open:,} still open"
    cost = f"would cost {dollars(summary)}" if simulated else f"cost {dollars(summary)}"
    if summary.agreement is not None:
        text += f"; {agreed(summary.agreement)} (see {out}/{CONFUSION})"
    text = escaped(f"{text}; {cost}{_by_caching(summary)}, reports in {out}")
    return f"{text} (simulated: nothing was spent)" if simulated else text
