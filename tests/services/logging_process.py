"""Starts processes that log predictions until they are killed: python logging_process.py SPOOL DATABASE_URL.

Each line of standard input is a file; a process is forked, so that only the first imports everything. Its number is
printed, and `ended` after its end. It writes the id of each request into its file after the spool has the request: the
acknowledgment. A thread of it moves the spool to Postgres.
"""

import os
import random
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import logged

from lockgate.database.connection import Database
from lockgate.errors import LockgateError
from lockgate.operations import drain_log
from lockgate.prediction_log.spool import Spool


def drain(spool: Spool, database: Database) -> None:
    """Move what is in the spool, again and again."""
    while True:
        with suppress(LockgateError):
            drain_log.drain(spool, database)
        time.sleep(0.002)


def log(acknowledgments: Path) -> None:
    """Log requests of one to five rows, one to four of them at once."""
    spool, database = Spool(Path(sys.argv[1])), Database(sys.argv[2], 5.0)
    threading.Thread(target=drain, args=(spool, database), daemon=True).start()
    with acknowledgments.open("ab", buffering=0) as file:
        while True:
            requests = [logged.request(*[logged.row()] * random.randint(1, 5)) for _ in range(random.randint(1, 4))]
            spool.append(requests)
            file.write("".join(f"{request.request_id}\n" for request in requests).encode())


def main() -> None:
    """Fork a process for each line."""
    for line in sys.stdin:
        process = os.fork()
        if not process:
            log(Path(line.strip()))
        print(process, flush=True)
        os.waitpid(process, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main()
