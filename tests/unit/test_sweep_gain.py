"""The gain of a sweep: paired by fold, with its spread, and honest about noise."""

from math import isclose, nan

import pytest

from lockgate.operations.sweep_report import gain_in_words
from lockgate.problem.metrics import METRICS
from lockgate.sweep.gain import gain_of
from lockgate.sweep.trials import TrialRecord, best_of, compared


def trial(number, *scores, metric="rmspe", state="complete"):
    of_folds = {str(place): score for place, score in enumerate(scores)}
    errors = tuple(METRICS[metric].error(sum(scores[:end]) / end) for end in range(1, len(scores) + 1))
    return TrialRecord(number, state, {}, errors, scores[-1], of_folds, 1.0, "", None, None)


def test_a_gain_on_every_fold_is_outside_the_noise() -> None:
    gain = gain_of(trial(0, 0.20, 0.30, 0.25), trial(3, 0.18, 0.28, 0.231), METRICS["rmspe"])
    assert isclose(gain.mean, 0.059 / 3) and gain.low > 0
    assert not gain.within_noise


def test_a_gain_on_one_of_the_folds_is_within_the_noise_and_said_so() -> None:
    gain = gain_of(trial(0, 0.20, 0.30, 0.25), trial(3, 0.15, 0.30, 0.251), METRICS["rmspe"])
    assert gain.mean > 0 and gain.within_noise
    assert "WITHIN THE NOISE" in gain_in_words(gain, 30) and "best of 30 trials" in gain_in_words(gain, 30)


def test_one_fold_shows_no_spread() -> None:
    gain = gain_of(trial(0, 0.2), trial(1, 0.1), METRICS["rmspe"])
    assert (gain.low, gain.high) == (None, None) and gain.within_noise


def test_a_higher_score_is_a_gain_where_higher_is_better_and_a_fold_without_a_score_does_not_count() -> None:
    before, after = (
        trial(place, *scores, nan, metric="roc_auc") for place, scores in enumerate([(0.7, 0.8), (0.8, 0.9)])
    )
    gain = gain_of(before, after, METRICS["roc_auc"])
    assert isclose(gain.mean, 0.1) and gain.folds == 2 and not gain.within_noise


def test_the_best_is_the_first_of_equal_complete_trials() -> None:
    trials = [trial(0, 0.3), trial(1, 0.1, state="pruned"), trial(2, 0.2), trial(3, 0.2), trial(4, 0.0, state="failed")]
    assert best_of(trials) == trials[2]
    assert [each.number for each in compared(trials)] == [0, 1, 2, 3]
    assert best_of(trials[1:2]) is None


@pytest.mark.parametrize("metric", ["rmspe", "roc_auc"])
def test_equal_trials_gain_nothing(metric: str) -> None:
    same = trial(0, 0.6, 0.7, metric=metric)
    gain = gain_of(same, same, METRICS[metric])
    assert (gain.mean, gain.within_noise) == (0, True)
