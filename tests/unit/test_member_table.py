"""One table holds all boosters; files of a bundle and settings agree with it."""

from lockgate.bundle import store
from lockgate.models.members import MEMBERS
from lockgate.problem.params import MembersParams


def test_each_booster_has_settings_in_params_yaml_and_a_file_of_its_own_in_a_bundle():
    assert list(MEMBERS) == list(MembersParams.model_fields)
    assert len({member.file for member in MEMBERS.values()}) == len(MEMBERS)
    assert store.NAMES - {store.DESCRIPTION, store.ARRAYS} == {member.file for member in MEMBERS.values()}
