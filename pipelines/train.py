"""Stage train: data/prepared -> build/bundle, metrics.json and tables of scores, curves and importances."""

from lockgate.pipeline import train
from lockgate.system import exit_codes

if __name__ == "__main__":
    exit_codes.stage(train.main)
