"""Copying answers: documents whose request was asked before get the report of that one's answer.

They are held by the batch that was planned while they were found, so nobody else writes their
reports meanwhile, and are let go before anything is sent.
"""

from decimal import Decimal

from msgspec.structs import replace

from shared.app.deps import Deps
from shared.app.earlier import Answer, Earlier
from shared.app.groups import mark_stale, open_groups_of
from shared.app.plan import Plan
from shared.app.report_places import remove_former, report_key
from shared.app.results import settle_documents
from shared.app.slices import slices
from shared.domain.batch import Batch
from shared.domain.document import Document, released
from shared.domain.report import render_report, text_digest
from shared.ports.blobs import BlobUnreadable

_AT_ONCE = 25
"""Reports in memory at a time: each may be long."""


def copy_answers(deps: Deps, batch: Batch, plan: Plan) -> None:
    """Write the reports of the documents that the batch holds without having to ask for them. What
    can't be copied after all waits again. Raises BlobStoreUnavailable."""
    earlier = Earlier(deps, batch.job, batch.fingerprint)
    places = [place for place, each in enumerate(plan.members) if each.answered_by is not None]
    if places:
        mark_stale(deps.store, batch.job)
    for part in slices(places):
        for start in range(0, len(part), _AT_ONCE):
            _copy(deps, batch, plan, earlier, part[start : start + _AT_ONCE])
    if places:
        mark_stale(deps.store, batch.job)


def _copy(deps: Deps, batch: Batch, plan: Plan, earlier: Earlier, places: list[int]) -> None:
    names = {plan.members[place].path: plan.members[place].answered_by for place in places}
    known = deps.store.documents(batch.job, names)
    held = {path: document for path, document in known.items() if document.batch == batch.id}
    answers: dict[str, Answer] = {}
    back: list[Document] = []
    for path, document in held.items():
        name = names[path]
        answer = earlier.again(name, document, document.claimed_digest or "") if name else None
        if answer is None or not _written(deps, batch, document, answer):
            back.append(released(document, now=deps.clock()))
        else:
            answers[path] = answer
    open_groups_of(deps.store, back, now=deps.clock(), ready=True)
    deps.store.swap_documents(back)  # one that lost waits until the batch is closed
    settle_documents(
        deps,
        batch,
        {path: answer.report for path, answer in answers.items()},
        {path: held[path] for path in answers},
    )


def _written(deps: Deps, batch: Batch, document: Document, answer: Answer) -> bool:
    more: dict[str, object] = {"same_request_as": answer.path}
    if answer.continued:
        more["continued"] = answer.continued
    more["text_digest"] = text_digest(answer.report.text)
    form = batch.answer_form
    report = render_report(
        answer.report,
        output=form.output,
        document=document.path,
        custom_id=answer.custom_id,
        batch=replace(batch, provider_id=answer.provider_id),
        correlation_id=document.correlation_id,
        cost=Decimal(0),
        more=more,
        losses=document.losses,
    )
    try:
        deps.reports.write_many([(report_key(deps, document, form.suffix), report)])
    except BlobUnreadable:
        return False
    remove_former(deps, document, form.suffix)
    return True
