"""Stage register: build/bundle becomes a version in MLflow's registry, once; the receipt says which."""

from lockgate.pipeline import register
from lockgate.system import exit_codes

if __name__ == "__main__":
    exit_codes.stage(register.main)
