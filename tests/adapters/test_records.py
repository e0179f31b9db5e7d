"""Records as they are written down, read by many threads at once."""

import subprocess
import sys

_MANY_READ = """
import sys, threading
from datetime import UTC, datetime
from shared.adapters.records import decode, encode
from shared.domain.document import Content, Document, DocumentStatus

sys.setswitchinterval(1e-6)
one = Document(
    job="j", path="p", group="g", content=Content(source="s", etag="e", size=1),
    status=DocumentStatus.WAITING, since=datetime.now(UTC),
)
text, start, same = encode(one), threading.Barrier(16), []

def read():
    start.wait(30)
    same.append(all(decode(Document, text) == one for _ in range(20)))

threads = [threading.Thread(target=read) for _ in range(16)]
for each in threads:
    each.start()
for each in threads:
    each.join()
sys.exit(same != [True] * 16)
"""


def test_threads_that_read_the_first_record_together_all_read_it() -> None:
    """In processes of their own: only the first decoder of a record is at risk, and a crash ends
    the process."""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", _MANY_READ], timeout=60, check=False)
        assert done.returncode == 0
