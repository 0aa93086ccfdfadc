"""The canary's share of the requests: the same keys each time, and more of them as the share grows."""

import json

import pytest
from test_serving_requests import NAMES, PROBLEM, READER

from lockgate.problem.description import Problem
from lockgate.serving.canary import of_canary
from lockgate.serving.request_body import Asked, Reader

PLAIN = Problem.model_validate(
    {
        "name": "things",
        "sources": [{"file": "things.csv"}],
        "target": "price",
        "known_covariates": ["size"],
        "columns": {"size": {"type": "number"}, "price": {"type": "number"}},
        "metric": "mae",
    }
)


def of_shop(shop: object, reader: Reader = READER) -> Asked:
    row = dict(zip(NAMES, [shop, "2024-01-01", 0, "a", None], strict=True))
    return reader.read(json.dumps({"instances": [row]}).encode(), "application/json")


def chosen(share: int, model: str = "shops-ensemble") -> set[int]:
    return {shop for shop in range(2000) if of_canary(model, PROBLEM, of_shop(shop), None, share)}


def test_a_share_is_about_this_share_of_the_keys_and_grows_by_adding_keys() -> None:
    shares = {share: chosen(share) for share in (0, 10, 25, 100)}
    assert [len(shares[0]), len(shares[100])] == [0, 2000]
    assert 140 <= len(shares[10]) <= 260 and 420 <= len(shares[25]) <= 580
    assert shares[10] < shares[25]
    assert chosen(10, "other-ensemble") != shares[10]


@pytest.mark.parametrize("shop", range(20))
def test_a_key_has_one_side_in_every_form(shop: int) -> None:
    forms = [of_shop(shop), of_shop(float(shop)), of_shop(str(shop)), of_shop(f" {shop} ")]
    assert len({of_canary("m", PROBLEM, form, str(place), 50) for place, form in enumerate(forms)}) == 1


def test_without_keys_the_id_of_the_caller_decides_and_without_an_id_the_row() -> None:
    reader = Reader(PLAIN)
    asked = [
        reader.read(json.dumps({"instances": [{"size": size}]}).encode(), "application/json") for size in range(60)
    ]
    by_id = {(name, of_canary("m", PLAIN, each, name, 50)) for each in asked for name in "abcdefghij"}
    assert len(by_id) == 10 and {side for _, side in by_id} == {True, False}
    by_row = [of_canary("m", PLAIN, each, None, 50) for each in asked]
    assert by_row == [of_canary("m", PLAIN, each, None, 50) for each in asked] and set(by_row) == {True, False}
