"""What lies in archives and folders is converted as files by themselves are."""

import asyncio
from pathlib import Path

from shared.app.contents import Ready, read_contents
from shared.app.uploads import Upload, take_upload
from shared.domain.document import DocumentStatus
from tests.app.home import JOB, Home
from tests.archives import recipe, zipped

SAMPLES = Path(__file__).parents[2] / "events" / "documents"


def samples() -> dict[str, bytes]:
    """One of each kind, by its ending."""
    found = (each for each in sorted(SAMPLES.rglob("*")) if each.suffix in (".pdf", ".docx"))
    return {each.suffix: each.read_bytes() for each in found}


def read_all(home: Home) -> dict[str, Ready]:
    found = {}
    for group in list(home.store.groups(JOB)):
        waiting = home.store.waiting(JOB, group.name)
        for document, content in read_contents(home.deps, waiting, home.recipe):
            assert isinstance(content, Ready), content
            found[document.path] = content
    return found


def test_members_of_an_archive_are_converted(home: Home) -> None:
    files = {f"contract{suffix}": data for suffix, data in samples().items()}
    home.write("a.zip", zipped(files))
    home.see()
    read = read_all(home)
    assert len(read["a.zip/contract.pdf"].input.attachments) == 1
    assert "Hollen" in read["a.zip/contract.docx"].input.text
    asyncio.run(home.finish())
    assert set(home.statuses().values()) == {DocumentStatus.REPORTED}


def test_parts_of_a_folder_are_attached_and_joined(home: Home) -> None:
    home.recipe = recipe("documents: folder")
    files = {f"contract{suffix}": data for suffix, data in samples().items()} | {
        "note.md": b"a note"
    }
    for name, data in files.items():
        home.write(f"legal/acme/{name}", data)
        take_upload(home.deps, Upload(key=f"legal/acme/{name}"))
    [(path, content)] = read_all(home).items()
    assert path == "acme"
    assert [each.title for each in content.input.attachments] == ["contract.pdf"]
    assert "## contract.docx" in content.input.text
    assert "a note" in content.input.text
    asyncio.run(home.finish_group("legal/_READY"))
    assert home.statuses() == {"acme": DocumentStatus.REPORTED}
    assert home.requested() == 1
