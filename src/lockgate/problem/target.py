"""The scale of an imported model's output."""

from typing import Literal

Target = Literal["sales", "log", "log1p"]
