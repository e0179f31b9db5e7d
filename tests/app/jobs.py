"""What tests of the use cases say often: fill the input, run to the end, see how all ended."""

import asyncio

from shared.domain.document import DocumentStatus
from tests.app.home import Home

WAITING, IN_BATCH = DocumentStatus.WAITING, DocumentStatus.IN_BATCH
REPORTED, FAILED = DocumentStatus.REPORTED, DocumentStatus.FAILED


def fill(home: Home, count: int = 5, folder: str = "") -> None:
    """Put that many documents into the input."""
    for number in range(count):
        home.write(f"{folder}d{number}.md", f"# Document {number}\n\ntext {folder}")


def run(home: Home) -> None:
    """Run the laptop's loop to the end."""
    asyncio.run(home.finish())


def only(home: Home, status: DocumentStatus) -> bool:
    """Whether every document is in that status."""
    return set(home.statuses().values()) == {status}
