"""The memory of this machine or container, and sizes as Dask writes them."""

from dask.utils import parse_bytes
from distributed.system import MEMORY_LIMIT

from lockgate.errors import BadConfiguration

SMALLEST = 256 << 20  # Python with the libraries that compute


def memory() -> int:
    """The bytes of memory that the machine or its container has."""
    return int(MEMORY_LIMIT)


def bytes_of(text: str) -> int:
    """The bytes of a size such as 2GiB or 500MB. Raises BadConfiguration for a text that is none, or too small."""
    try:
        size = int(parse_bytes(text))
    except ValueError:
        size = 0
    if size < SMALLEST:
        raise BadConfiguration(
            f"{text!r} is not the memory of a worker",
            hint=f"give a size of at least {SMALLEST >> 20} MiB, such as 2GiB",
        )
    return size
