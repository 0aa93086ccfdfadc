"""The digest of the settings that a sweep may change: by it, the run of a version finds the trial that had them."""

from pathlib import Path

from lockgate import digests
from lockgate.problem.params import PARAMS_FILE, Params, read_document
from lockgate.problem.search_space import searchable


def settings_digest(written: Params) -> str:
    """The digest of all settings that a sweep may change, before the profile is applied."""
    return digests.of_json(searchable(written))


def written_settings_digest(params: Params, params_file: Path = PARAMS_FILE) -> str:
    """The digest of the settings of params in force: those of the params file, if they are its."""
    if params_file.is_file():
        written = Params.model_validate(read_document(params_file))
        if written.in_force() == params:
            return settings_digest(written)
    return settings_digest(params)
