"""Brings schema lockgate of the database in LOCKGATE_DATABASE_URL to the state of the installed lockgate."""

import sys
from pathlib import Path

from lockgate import addresses
from lockgate.database import Database
from lockgate.errors import LockgateError

SECONDS = 120.0

if __name__ == "__main__":
    try:
        done = Database(addresses.find(Path.cwd()).database_url, timeout=SECONDS).migrate()
    except LockgateError as error:
        sys.stderr.write(f"error: {error}\nhint: {error.hint}\n")
        sys.exit(error.exit_code)
    sys.stdout.write(f"schema lockgate: {', '.join(done) or 'nothing to do'}\n")
