"""One file open twice in a process, and across a fork: nobody takes the write-ahead log away from another.

POSIX locks belong to a process and a file, so a careless `close` drops those of its neighbours, and SQLite must not
be carried across a fork. Either would let the last one that closes delete the log in which others still write.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from tuner_core.outbox import Outbox
from tuner_core.outbox.parcels import Destination

TO = Destination("http://127.0.0.1:1", 1, "a")
T0 = 1_790_000_000.0
COUNT = """
import sys
from pathlib import Path
from tuner_core.outbox import Outbox
box = Outbox(Path(sys.argv[1]))
print(box.status().accepted)
box.close()
"""


def put(box: Outbox, call_id: str) -> None:
    box.put(TO, call_id, b"{}", now=T0)


def seen_by_another_process(path: Path) -> int:
    """What a process sees that opens the file and closes it again."""
    command = [sys.executable, "-c", COUNT, str(path)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def in_a_child(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return child


def test_two_openings_in_one_process_keep_their_locks(path: Path) -> None:
    def fill() -> None:
        one, other = Outbox(path), Outbox(path)
        for box, name in ((one, "1"), (other, "2")):
            put(box, name)
            seen_by_another_process(path)
        put(one, "3")  # and dies without closing

    os.waitpid(in_a_child(fill), 0)
    assert seen_by_another_process(path) == 3


def test_a_forked_child_and_its_parent_lose_nothing_whoever_closes_first(path: Path) -> None:
    box = Outbox(path)
    put(box, "parent")
    parent_closed_reads, parent_closed = os.pipe()

    def late() -> None:
        put(box, "child 1")
        os.read(parent_closed_reads, 1)
        put(box, "child 2")  # and dies without closing

    child = in_a_child(late)
    put(box, "parent again")
    box.close()
    seen_by_another_process(path)
    os.write(parent_closed, b"x")
    os.waitpid(child, 0)
    assert seen_by_another_process(path) == 4


def test_a_fork_in_the_middle_of_many_commits_disturbs_neither(path: Path) -> None:
    box, stop = Outbox(path), threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            put(box, f"parent {number}")
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    children = [in_a_child(lambda n=n: put(box, f"child {n}")) for n in range(8)]
    codes = [os.waitpid(child, 0)[1] for child in children]
    stop.set()
    writer.join()
    calls = {entry.call_id for entry in box.entries(limit=100_000)}
    box.close()
    assert codes == [0] * 8
    assert {f"child {n}" for n in range(8)} <= calls
    assert f"parent {len(calls) - 9}" in calls
