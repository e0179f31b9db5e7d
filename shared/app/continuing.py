"""Continuing reports that stopped at `max_tokens`: what there is of one is kept, and joined later.

The text so far is kept, and the report written as far as it goes, before the document is let go to
wait for the rest. So whatever comes in between, the answer that was paid for has its report.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

import msgspec
from msgspec.structs import replace

from shared.app.deps import Deps, NoRecipe
from shared.app.judged import Judged, leader_of
from shared.app.report_places import report_key
from shared.domain.answer_form import AnswerForm, Output
from shared.domain.batch import Batch, Member
from shared.domain.catalog import added
from shared.domain.document import Document, Failure
from shared.domain.ids import CustomId, JobName
from shared.domain.outcome import Fail, Outcome, Report, StopReason
from shared.domain.report import render_report
from shared.domain.unfinished import KeptText, Unfinished, join
from shared.ports.blobs import BlobError, BlobStoreUnavailable, BlobUnreadable

UNFINISHED = ".docmill/unfinished"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(KeptText).decode


def text_key(deps: Deps, job: JobName, custom_id: CustomId) -> str:
    """Where the text is kept that a request was answered."""
    return deps.output_key(job, f"{UNFINISHED}/{custom_id}.json")


def keep_texts(deps: Deps, job: JobName, texts: Mapping[CustomId, KeptText]) -> bool:
    """Keep them; False when that can't be done there. Raises BlobStoreUnavailable."""
    items = [(text_key(deps, job, custom_id), _encode(text)) for custom_id, text in texts.items()]
    try:
        deps.reports.write_many(items)
    except BlobUnreadable:
        return False
    return True


def kept_texts(deps: Deps, documents: Iterable[Document]) -> dict[str, KeptText]:
    """What is kept for those of the documents whose report is to be continued, by path; what
    somebody removed or changed is missing. Raises BlobStoreUnavailable."""
    named = {each: each.unfinished.custom_id for each in documents if each.unfinished is not None}
    keys = [text_key(deps, document.job, custom_id) for document, custom_id in named.items()]
    found: dict[str, KeptText] = {}
    for document, data in zip(named, deps.reports.read_many(keys) if keys else (), strict=True):
        if isinstance(data, BlobStoreUnavailable):
            raise data
        if not isinstance(data, BlobError):
            try:
                found[document.path] = _decode(data)
            except msgspec.DecodeError:
                continue
    return found


def most_continuations(deps: Deps, batch: Batch) -> int:
    """How often a report of this batch may be continued: only the same recipe can do that."""
    try:
        recipe = deps.recipe(batch.job)
    except NoRecipe:
        return 0
    return recipe.continuations if recipe.fingerprint == batch.fingerprint else 0


def why_not(document: Document, kept: KeptText | None, fingerprint: str) -> Failure | None:
    """Why a document that waits for the rest of its report isn't sent for it."""
    if document.unfinished is None:
        return None
    so = (
        "what came so far is no report, and `docmill retry --all` asks for all of it anew"
        if document.unfinished.suffix is None
        else "its report stays as it is"
    )
    if kept is None:
        why = f"the text so far was removed from the output, so {so}"
        return Failure(type="beginning_missing", message=why)
    if kept.fingerprint != fingerprint:
        why = f"the recipe changed before the rest was asked for, so {so}"
        return Failure(type="recipe_changed", message=why)
    return None


def keep_whole(deps: Deps, batch: Batch, judged: Judged, custom_id: CustomId) -> None:
    """Keep the whole of an answer with fields that came in parts, before its document is settled:
    a later reading of the results needs all of it for its row. Raises BlobStoreUnavailable."""
    if isinstance(judged.outcome, Report):
        whole = _kept(batch, judged, judged.outcome, None)
        with suppress(BlobUnreadable):
            deps.reports.write_many([(_whole_key(deps, batch, custom_id), _encode(whole))])


def kept_whole(deps: Deps, batch: Batch, custom_id: CustomId) -> KeptText | None:
    """The whole of an answer that came in parts. Raises BlobStoreUnavailable."""
    try:
        return _decode(deps.reports.read(_whole_key(deps, batch, custom_id)))
    except BlobStoreUnavailable:
        raise
    except (BlobError, msgspec.DecodeError):
        return None


def _whole_key(deps: Deps, batch: Batch, custom_id: CustomId) -> str:
    return deps.output_key(batch.job, f"{UNFINISHED}/{custom_id}-whole.json")


def go_on(
    deps: Deps,
    batch: Batch,
    members: Sequence[Member],
    lines: Iterable[Judged],
    *,
    most: int,
    is_whole: Callable[[Report], bool],
) -> None:
    """Join what there was of each report and what came now, and keep it where there is to be more:
    `most` times at most, and what `is_whole` needs none. Raises BlobStoreUnavailable.

    What is kept is so before the document lets go of its batch, and the same line gives the same
    bytes.
    """
    due = [each for each in lines if each.document is not None]
    before = kept_texts(deps, (each.document for each in due if each.document is not None))
    texts: dict[CustomId, KeptText] = {}
    for each in due:
        document = each.document
        if document is None:
            continue
        each.kept = before.get(document.path)
        if document.unfinished is not None and isinstance(each.outcome, Report):
            _join(each, each.outcome)
        if document.unfinished is not None and isinstance(each.outcome, Fail):
            _tell_why(deps, batch, each, document, each.outcome.failure)
        outcome = each.outcome
        if (
            isinstance(outcome, Report)
            and _goes_on(document, outcome, most)
            and not is_whole(outcome)
        ):
            custom_id = members[each.place].custom_id
            each.unfinished = _unfinished(document, custom_id, batch.answer_form)
            texts[custom_id] = _kept(batch, each, outcome, leader_of(each.place, members))
    can_go_on = not texts or keep_texts(deps, batch.job, texts)
    for each in due:
        if not can_go_on:
            each.unfinished = None
        each.is_continued = each.unfinished is not None


def was_continued(
    deps: Deps, document: Document | None, outcome: Outcome, custom_id: CustomId
) -> bool:
    """Whether it was decided before, by somebody who died then, that a report is to go on.
    Raises BlobStoreUnavailable."""
    if document is None or not isinstance(outcome, Report):
        return False
    if outcome.stop_reason != StopReason.MAX_TOKENS:
        return False
    return deps.reports.exists(text_key(deps, document.job, custom_id))


def _goes_on(document: Document, outcome: Report, most: int) -> bool:
    """Whether the rest is to be asked for. Not of an answer about a part, nor of a merge: their
    requests are made of what lies in the output, so the next one may not be the same."""
    if document.part is not None or document.merges:
        return False
    made = 0 if document.unfinished is None else document.unfinished.count
    stopped = outcome.stop_reason == StopReason.MAX_TOKENS
    return stopped and made < most and document.newer is None


def _join(judged: Judged, outcome: Report) -> None:
    kept = judged.kept
    if kept is None:
        judged.outcome = _without_its_beginning(judged, outcome)
        return
    text, usage = join(kept.text, outcome.text), kept.usage + outcome.usage
    judged.outcome = replace(outcome, text=text, usage=usage)
    judged.whole_cost = added(kept.cost, judged.cost)


def _without_its_beginning(judged: Judged, outcome: Report) -> Fail:
    why = "the text so far was removed from the output, and the rest alone is no report"
    return Fail(
        failure=Failure(
            type="beginning_missing", message=why, custom_id=CustomId(judged.line.custom_id)
        ),
        model=outcome.model,
        usage=outcome.usage,
        uncounted=outcome.uncounted,
    )


def _tell_why(
    deps: Deps, batch: Batch, judged: Judged, document: Document, failure: Failure
) -> None:
    """Say in the report that is there why it stays without the rest."""
    kept, unfinished = judged.kept, document.unfinished
    if kept is None or unfinished is None or unfinished.suffix is None:
        return
    output = next(each for each in Output if each.suffix == unfinished.suffix)
    report = render_report(
        Report(
            text=kept.text,
            model=kept.model,
            stop_reason=kept.stop_reason,
            truncated=True,
            usage=kept.usage + judged.usage,
        ),
        output=output,
        document=document.path,
        custom_id=kept.custom_id,
        batch=replace(batch, provider_id=kept.provider_id),
        correlation_id=document.correlation_id,
        cost=added(kept.cost, judged.cost),
        more=_more_of(kept, unfinished, failure),
        losses=document.losses,
    )
    with suppress(BlobUnreadable):  # it stays as it is
        deps.reports.write_many([(report_key(deps, document, unfinished.suffix), report)])


def _more_of(kept: KeptText, unfinished: Unfinished, failure: Failure) -> dict[str, object]:
    more: dict[str, object] = {}
    if kept.same_request_as is not None:
        more["same_request_as"] = kept.same_request_as
    if unfinished.count > 1:
        more["continued"] = unfinished.count - 1
    return {**more, "not_continued": f"{failure.type}: {failure.message}"}


def _unfinished(document: Document, custom_id: CustomId, form: AnswerForm) -> Unfinished:
    return Unfinished(
        custom_id=custom_id,
        digest=document.claimed_digest or "",
        count=1 if document.unfinished is None else document.unfinished.count + 1,
        suffix=None if form.fields else form.suffix,
    )


def _kept(batch: Batch, judged: Judged, outcome: Report, leader: str | None) -> KeptText:
    return KeptText(
        custom_id=CustomId(judged.line.custom_id),
        text=outcome.text,
        model=outcome.model,
        stop_reason=outcome.stop_reason,
        usage=outcome.usage,
        cost=judged.whole_cost,
        fingerprint=batch.fingerprint,
        provider_id=batch.provider_id,
        same_request_as=leader,
    )
