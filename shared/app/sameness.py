"""Whether a request has to be sent at all: another of the batch, or of the job, may be the same."""

from collections.abc import Sequence

from shared.app.deps import Deps
from shared.app.earlier import Answer, Earlier, Known, Pending
from shared.app.twins import Leaders, same_request
from shared.domain.batch import Batch, Member
from shared.domain.document import Document, DocumentStatus
from shared.domain.ids import CustomId, JobName
from shared.domain.recipe import Recipe
from shared.domain.template_tags import always_prints_path


class Sameness:
    """What is asked, while one batch is planned. Raises BlobStoreUnavailable."""

    def __init__(
        self, deps: Deps, job: JobName, recipe: Recipe, known: Known | None = None
    ) -> None:
        self._deps = deps
        self._known = known or Known()
        self._leaders = Leaders(recipe)
        self._earlier = Earlier(deps, job, recipe.fingerprint, self._known)
        self._copies = recipe.form.keeps_text
        self._asked: bytes | None = None

    def of(
        self, document: Document, digest: str, name: CustomId, request: bytes | None
    ) -> Member | Pending | None:
        """The place of a document whose request needn't be sent, or that its answer is under way
        in another batch; None where it is to be sent.

        What asks for the rest of a report only has twins in its own batch: who waits for somebody
        else's report never waits for one that waits itself. So it is with what can't be copied from
        a report. Without a `request` it is about a part of a document, or merges: that is sent, and
        no other counts on its answer.
        """
        self._asked = self._leaders.asked(name, request) if request is not None else None
        if self._asked is None:
            return None
        leader = self._leaders.of(self._asked)
        if leader is not None:
            return Member(path=document.path, custom_id=name, twin=leader)
        if document.unfinished is not None or not self._copies:
            return None
        found = self._earlier.of(self._asked, document, digest)
        if isinstance(found, Answer):
            return Member(path=document.path, custom_id=name, answered_by=found.custom_id)
        return found

    def sent_at(self, place: int) -> None:
        """The request that was asked about last is sent at this place."""
        self._leaders.add(self._asked, place)

    def save(self, batch: Batch) -> None:
        """Have later batches know what this one asks."""
        if blocks := self._leaders.blocks():
            self._deps.store.save_asked(batch, blocks)
            self._known.add(batch, blocks)


class SavedPlan:
    """What a saved plan says of its places, while it is spooled once more: whether each still has
    the request that it had. Raises BlobStoreUnavailable."""

    def __init__(self, deps: Deps, batch: Batch, recipe: Recipe, members: Sequence[Member]) -> None:
        self._batch = batch
        self._repeats = not always_prints_path(recipe.template)
        self._earlier = Earlier(deps, batch.job, recipe.fingerprint)
        self._leaders: dict[int, bytes] = {m.twin: b"" for m in members if m.twin is not None}

    def still_holds(
        self, place: int, member: Member, document: Document, *, digest: str, request: bytes | None
    ) -> bool:
        """Whether the document belongs at its place with this request. Asked in the order of the
        places, so that a twin meets its leader's, which is sent."""
        held = document.status is DocumentStatus.IN_BATCH
        if held and digest != document.claimed_digest:
            return False
        if request is None:  # of a part, or a merge: there is no other like it
            return member.twin is None and member.answered_by is None
        asked = same_request(member.custom_id, request)
        if member.twin is not None:
            return self._leaders[member.twin] == asked
        if member.answered_by is not None:
            return self._is_answered(member.answered_by, document, digest, asked, held=held)
        if self._repeats and not held and not self._earlier.asks(self._batch.id, place, asked):
            return False  # others may count on what it asked
        if place in self._leaders:
            self._leaders[place] = asked
        return True

    def _is_answered(
        self, by: CustomId, document: Document, digest: str, asked: bytes, *, held: bool
    ) -> bool:
        if held:
            return self._earlier.again(by, document, digest) is not None
        found = self._earlier.of(asked, document, digest)
        return isinstance(found, Answer) and found.custom_id == by
