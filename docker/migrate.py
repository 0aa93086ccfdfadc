"""Brings schema lockgate in LOCKGATE_DATABASE_URL to the state of the installed lockgate and puts the guard on."""

import sys
from pathlib import Path

from lockgate.database import guard
from lockgate.database.connection import Database
from lockgate.database.migrate import migrate
from lockgate.errors import LockgateError
from lockgate.system import service_urls

SECONDS = 120.0

if __name__ == "__main__":
    try:
        database = Database(service_urls.find(Path.cwd()).database_url, timeout=SECONDS)
        done = migrate(database)
        guard.install(database, actor="docker compose up")
    except LockgateError as error:
        sys.stderr.write(f"error: {error}\nhint: {error.hint}\n")
        sys.exit(error.exit_code)
    sys.stdout.write(f"schema lockgate: {', '.join(done) or 'nothing to do'}\n")
