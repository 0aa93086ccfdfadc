"""The list of packages of a version (SBOM): valid CycloneDX, complete, and the same bytes for the same environment."""

import json
import platform
import subprocess
import sys
from importlib.metadata import distributions

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from lockgate.operations import sbom

DIGEST = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def listed():
    return json.loads(sbom.of_environment("chain-ensemble", DIGEST))


def test_it_is_valid_by_the_schema_of_cyclonedx():
    text = sbom.of_environment("chain-ensemble", DIGEST).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_another_process_with_another_hash_seed_writes_the_same_bytes():
    program = (
        "import sys; from lockgate.operations import sbom; sys.stdout.buffer.write(sbom.of_environment(*sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "chain-ensemble", DIGEST]
    ran = subprocess.run(command, capture_output=True, check=True, env={"PYTHONHASHSEED": "7"})
    assert ran.stdout == sbom.of_environment("chain-ensemble", DIGEST)


def test_every_installed_package_is_listed_once_with_its_version(listed):
    found = [(each["name"], each["version"]) for each in listed["components"] if each["type"] == "library"]
    installed = {(canonicalize_name(each.metadata["Name"]), each.version) for each in distributions()}
    assert set(found) == installed
    assert len(found) == len(set(found))


def test_the_subject_is_the_bundle_by_its_digest_and_the_python_is_named(listed):
    subject = listed["metadata"]["component"]
    assert (subject["type"], subject["name"]) == ("machine-learning-model", "chain-ensemble")
    assert subject["hashes"] == [{"alg": "SHA-256", "content": DIGEST}]
    [python] = [each for each in listed["components"] if each["type"] == "platform"]
    assert python["version"] == platform.python_version()


def test_a_package_from_a_folder_is_not_said_to_come_from_pypi(listed):
    [own] = [each for each in listed["components"] if each["name"] == "lockgate"]
    [pandas] = [each for each in listed["components"] if each["name"] == "pandas"]
    assert "purl" not in own
    assert pandas["purl"] == f"pkg:pypi/pandas@{pandas['version']}"


def test_it_tells_which_package_asked_for_which(listed):
    needs = {each["ref"].partition("==")[0]: each.get("dependsOn", []) for each in listed["dependencies"]}
    assert [each.partition("==")[0] for each in needs["bundle"]] == ["lockgate"]
    assert {"pandas", "mlflow", "skops"} <= {each.partition("==")[0] for each in needs["lockgate"]}


def test_there_is_no_path_no_time_and_no_user_of_this_machine_in_it():
    text = sbom.of_environment("chain-ensemble", DIGEST).decode()
    assert sys.prefix not in text
    assert "timestamp" not in text
    assert "serialNumber" not in text
