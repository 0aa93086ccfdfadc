"""The scale of an imported model's output."""

from typing import Literal

# Of a regression: the target, its log, or log(1 + target). Of classes: probabilities, or their log odds (of several
# classes: numbers whose softmax is the probabilities).
Target = Literal["value", "log", "log1p", "probability", "logit"]
EARLIER_NAMES: dict[str, Target] = {"sales": "value"}
