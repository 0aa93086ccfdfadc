"""What a page answers in place of itself: the status of each class of error, and the errors of this room."""

from http import HTTPStatus

from lockgate.errors import (
    AccessRefused,
    BadConfiguration,
    BadData,
    GateRefused,
    IntegrityBroken,
    LockgateError,
    StateConflict,
    StorageFailed,
    Unavailable,
    WrongUsage,
)
from lockgate.registry.own_server import Answer


class NotFound(LockgateError):
    """The address names nothing that the visitor may see."""


class NotAllowed(LockgateError):
    """The request does not come from a form of these pages, or the visitor lacks the right."""


class TooLarge(LockgateError):
    """The form is larger than a form of these pages can be."""


class TooSlow(LockgateError):
    """The form was not complete in time."""


class BrokenPage(LockgateError):
    """A bug in the code of a page; the stack trace is in the log of the server, under the reference."""

    def __init__(self, reference: str) -> None:
        super().__init__(
            f"this page has a bug; its reference is {reference}",
            hint=f"the log of the MLflow server says more under {reference}; after a form, look at the history before "
            "you send it again",
        )


class NotLoggedIn(Exception):
    """MLflow does not know the login; `answer` is MLflow's own answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


# The first class that fits counts.
STATUS: dict[type[LockgateError], HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    NotAllowed: HTTPStatus.FORBIDDEN,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    TooSlow: HTTPStatus.REQUEST_TIMEOUT,
    WrongUsage: HTTPStatus.UNPROCESSABLE_ENTITY,
    BadData: HTTPStatus.UNPROCESSABLE_ENTITY,
    StateConflict: HTTPStatus.CONFLICT,
    GateRefused: HTTPStatus.CONFLICT,
    IntegrityBroken: HTTPStatus.CONFLICT,
    AccessRefused: HTTPStatus.FORBIDDEN,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    BadConfiguration: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageFailed: HTTPStatus.INSUFFICIENT_STORAGE,
}


def status_of(refusal: LockgateError) -> HTTPStatus:
    """The HTTP status of a refusal."""
    found = (status for kind, status in STATUS.items() if isinstance(refusal, kind))
    return next(found, HTTPStatus.INTERNAL_SERVER_ERROR)
