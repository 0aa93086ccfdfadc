"""The variables with which Postgres's own programs reach a database: no password is on a command line."""

import os
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.dialects.postgresql.psycopg2 import dialect
from sqlalchemy.exc import ArgumentError

from lockgate.errors import BadConfiguration
from lockgate.system.service_urls import masked

DIALECT: Any = dialect  # without types
NAMES = {"dbname": "PGDATABASE"}  # where it is not PG and the name of the parameter
# A server that is gone is noticed; without these, the wait would be endless.
KEEPALIVES = "keepalives=1 keepalives_idle=15 keepalives_interval=5 keepalives_count=3 tcp_user_timeout=30000"


def environment(database_url: str, seconds: float) -> dict[str, str]:
    """The environment of a program; `seconds` are for its connection."""
    try:
        _, given = DIALECT().create_connect_args(make_url(database_url))
    except (ArgumentError, ValueError) as error:
        raise BadConfiguration("the database URL cannot be read", where=masked(database_url)) from error
    named = {NAMES.get(name, f"PG{name.upper()}"): str(value) for name, value in given.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LC_")}
    return kept | {"PGCONNECT_TIMEOUT": str(max(2, int(seconds))), "LC_ALL": "C"} | named
