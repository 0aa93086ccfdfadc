"""Work that waits many times is broken off when its time is up, whatever a library makes of the interruption."""

import signal
import threading
import time
from contextlib import suppress

import pytest

from lockgate.errors import BadConfiguration, StateConflict, Unavailable
from lockgate.system import timeouts
from lockgate.system.timeouts import within

TOO_SLOW = Unavailable("too slow")


def test_a_wait_is_broken_off_when_the_time_is_up():
    over = threading.Event()
    end = threading.Timer(60, over.set)
    end.daemon = True
    end.start()
    with pytest.raises(Unavailable, match="too slow"), within(0.05, TOO_SLOW):
        over.wait()
    end.cancel()
    assert not over.is_set()


def test_a_library_that_goes_on_is_interrupted_again(monkeypatch):
    monkeypatch.setattr(timeouts, "AGAIN_SECONDS", 0.2)
    waits = []
    with pytest.raises(Unavailable, match="too slow"), within(0.2, TOO_SLOW):
        for _ in range(2):
            with suppress(Exception):
                waits.append(None)
                time.sleep(30)
        time.sleep(30)
    assert len(waits) == 2


def test_a_failure_that_a_library_makes_of_the_interruption_is_told_as_what_it_is():
    with pytest.raises(Unavailable, match="too slow"), within(0.05, TOO_SLOW):
        try:
            time.sleep(30)
        except Exception as error:
            raise OSError("the line is broken") from error


def test_what_ends_in_time_ends_as_without_a_limit():
    with within(30, TOO_SLOW):
        pass
    with pytest.raises(StateConflict), within(30, TOO_SLOW):
        raise StateConflict("another one")
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def test_within_a_limit_that_one_holds():
    another = Unavailable("another")
    with pytest.raises(Unavailable, match="too slow"), within(0.05, TOO_SLOW):
        with within(0.01, another):
            pass
        time.sleep(30)


def test_an_interruption_by_the_person_is_theirs():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
    try:
        with pytest.raises(KeyboardInterrupt), within(30, TOO_SLOW):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_has_the_limits_of_its_waits_alone():
    ended = []

    def work():
        with within(0.01, TOO_SLOW):
            time.sleep(0.1)
        ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert ended == [True]


@pytest.mark.parametrize(
    ("said", "seconds"), [({}, 10), ({"LOCKGATE_TIMEOUT": ""}, 10), ({"LOCKGATE_TIMEOUT": " 2.5 "}, 2.5)]
)
def test_a_call_has_as_long_as_the_environment_says_or_ten_seconds(said, seconds):
    assert timeouts.of_one_call(said) == seconds


@pytest.mark.parametrize("said", ["soon", "0", "-3", "nan", "inf", "4000"])
def test_a_time_that_is_none_is_refused_with_what_it_may_be(said):
    with pytest.raises(BadConfiguration, match=f"LOCKGATE_TIMEOUT is '{said}'") as refusal:
        timeouts.of_one_call({"LOCKGATE_TIMEOUT": said})
    assert "from 0.5 to 3600" in refusal.value.hint
