"""What all keys share: values pooled over the keys, recorded in one fit and given back in the fit of some of the keys.

Beside these values, the fit of a recipe works on each key by itself. So a recipe can be fitted on all keys, or on a
sample of them, and then on one range of keys after the other: each range asks for the recorded values.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

T = TypeVar("T")

NUMBER_OF_KEYS = "number of keys"  # of all keys
LOWEST_TARGET = "lowest target"  # the name of the lowest target of all keys; None: there is no target


@dataclass(frozen=True)
class Shared:
    """Values by name, of one table, recipe and horizon; no value has an entry for each key.

    While it records, a value is computed when its name is asked for the first time. Values that are known beforehand
    may be given. A replayed one computes nothing. It can be pickled.
    """

    values: dict[str, Any] = field(default_factory=dict)
    records: bool = True
    scope: str = ""  # begins each name

    def of(self, name: str, compute: Callable[[], T]) -> T:
        """The value of a name; raises LookupError if it was not recorded and this one replays."""
        full = self.scope + name
        if full not in self.values:
            if not self.records:
                raise LookupError(f"no value of all keys is recorded for: {full}")
            self.values[full] = compute()
        found: T = self.values[full]
        return found

    def within(self, scope: str) -> "Shared":
        """The same values; names that are asked here begin with the scope."""
        return replace(self, scope=f"{self.scope}{scope}, ")

    def replayed(self) -> "Shared":
        """The values recorded so far, for the fit of some of the keys."""
        return Shared(dict(self.values), records=False)

    def with_values(self, values: Mapping[str, Any]) -> "Shared":
        """These values too; such as facts about all keys where a sample of them is recorded."""
        return replace(self, values=self.values | dict(values))
