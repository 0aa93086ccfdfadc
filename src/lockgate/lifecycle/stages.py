"""MLflow's stages, what moves a version, and the table of legal moves."""

from enum import StrEnum


class Stage(StrEnum):
    """MLflow's stages, spelt as in MLflow. A deleted version is in the stage Deleted_Internal."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"
    DELETED = "Deleted_Internal"


class Command(StrEnum):
    """What moves a version: a command of Lockgate, another client of MLflow (out of band), or the guard's installation.

    `undo` is a rollback that undoes the last rollback.
    """

    VALIDATE = "validate"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    UNDO = "undo"
    REJECT = "reject"
    RETIRE = "retire"
    GC = "gc"
    OUT_OF_BAND = "out of band"
    ADOPT = "adopt"


# The guard has a copy of this table in the database. For each of these moves, the guard also requires the evidence.
LEGAL_MOVES: dict[tuple[Stage, Stage], frozenset[Command]] = {
    (Stage.NONE, Stage.STAGING): frozenset({Command.VALIDATE, Command.OUT_OF_BAND, Command.ADOPT}),
    (Stage.NONE, Stage.ARCHIVED): frozenset({Command.REJECT, Command.OUT_OF_BAND, Command.ADOPT}),
    (Stage.NONE, Stage.PRODUCTION): frozenset({Command.ADOPT}),
    (Stage.STAGING, Stage.PRODUCTION): frozenset({Command.PROMOTE, Command.OUT_OF_BAND}),
    (Stage.ARCHIVED, Stage.PRODUCTION): frozenset({Command.ROLLBACK, Command.UNDO}),
    # Rejected, or displaced by the version that moves up.
    (Stage.STAGING, Stage.ARCHIVED): frozenset({Command.REJECT, Command.VALIDATE, Command.OUT_OF_BAND}),
    (Stage.PRODUCTION, Stage.ARCHIVED): frozenset(
        {Command.PROMOTE, Command.ROLLBACK, Command.UNDO, Command.RETIRE, Command.OUT_OF_BAND}
    ),
    (Stage.NONE, Stage.DELETED): frozenset({Command.GC, Command.OUT_OF_BAND}),
    (Stage.ARCHIVED, Stage.DELETED): frozenset({Command.GC, Command.OUT_OF_BAND}),
}
