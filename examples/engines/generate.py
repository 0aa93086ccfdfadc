"""Writes data/raw/train_FD001.txt: a generated fleet in the form of NASA's C-MAPSS. An existing file stays.

Each engine runs up to its failure. Its wear grows exponentially from a random start and moves most sensors; seven
sensors and one setting never change, as in FD001.
"""

import math
import random
from pathlib import Path

TARGET_FILE = Path(__file__).parent / "data" / "raw" / "train_FD001.txt"
ENGINES = 60
SHORTEST, LONGEST = 130, 320  # cycles of a life
CONSTANT = (1, 5, 6, 10, 16, 18, 19)  # sensors
WEAR_CYCLES = 45.0  # in which the wear grows e-fold


def main() -> None:
    if TARGET_FILE.exists():
        return
    rng = random.Random(7)
    sensors = {
        number: (rng.uniform(20, 2000), rng.choice((-1, 1)) * rng.uniform(2, 6))
        for number in range(1, 22)
        if number not in CONSTANT
    }
    lines = [line for unit in range(1, ENGINES + 1) for line in _engine(unit, sensors, rng)]
    TARGET_FILE.parent.mkdir(parents=True, exist_ok=True)
    TARGET_FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _engine(unit: int, sensors: dict[int, tuple[float, float]], rng: random.Random) -> list[str]:
    life, start = rng.randint(SHORTEST, LONGEST), rng.uniform(0.0, 0.05)
    lines = []
    for cycle in range(1, life + 1):
        wear = start + math.exp((cycle - life) / WEAR_CYCLES)
        settings = (f"{rng.gauss(0, 0.002):.4f}", f"{rng.gauss(0, 0.0003):.4f}", "100.0")
        values = (_sensor(number, wear, sensors, rng) for number in range(1, 22))
        lines.append(" ".join((str(unit), str(cycle), *settings, *values)))
    return lines


def _sensor(number: int, wear: float, sensors: dict[int, tuple[float, float]], rng: random.Random) -> str:
    if number not in sensors:
        return "100.00"
    level, direction = sensors[number]
    return f"{level * (1 + 0.004 * (direction * wear + rng.gauss(0, 1))):.3f}"


if __name__ == "__main__":
    main()
