"""Plots."""

import logging

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns if the home folder is not writable
