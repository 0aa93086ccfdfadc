"""A process that logs predictions until it is killed: python logging_process.py SPOOL DATABASE_URL.

It prints the id of each request after the spool has it: the acknowledgment. A thread moves the spool to Postgres.
"""

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


def main() -> None:
    """Log requests of one to five rows, one to four of them at once."""
    spool, database = Spool(Path(sys.argv[1])), Database(sys.argv[2], 5.0)
    threading.Thread(target=drain, args=(spool, database), daemon=True).start()
    while True:
        requests = [logged.request(*[logged.row()] * random.randint(1, 5)) for _ in range(random.randint(1, 4))]
        spool.append(requests)
        print("\n".join(request.request_id for request in requests), flush=True)


if __name__ == "__main__":
    main()
