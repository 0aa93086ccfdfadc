"""The manifests of deploy/kubernetes: valid by the schemas of Kubernetes, with few rights, commands that exist."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml
from distributed.cli import dask_scheduler, dask_worker

from lockgate.cli import lockgate
from lockgate.serving.metrics import Metrics
from lockgate.stack import mlflow_server

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
EXAMPLE = FOLDER / "overlays" / "example"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
VERSION = "1.32.0"


def objects_of(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each]


FILES = sorted(path for path in FOLDER.rglob("*.yaml") if path.name not in ("kustomization.yaml", "params.yaml"))
OBJECTS = {f"{each['kind']}/{each['metadata']['name']}": each for path in FILES for each in objects_of(path)}
DASK = {f"{each['kind']}/{each['metadata']['name']}" for each in objects_of(FOLDER / "dask.yaml")}
PAGE = (ROOT / "docs" / "how-to" / "kubernetes.md").read_text(encoding="utf-8")
LATENCY = yaml.safe_load((FOLDER / "components" / "latency" / "kustomization.yaml").read_text(encoding="utf-8"))


def template_of(described: dict[str, Any]) -> dict[str, Any] | None:
    """The template of the pods of an object."""
    spec = described.get("spec", {})
    template: dict[str, Any] | None = spec.get("template") or spec.get("jobTemplate", {}).get("spec", {}).get(
        "template"
    )
    return template


PODS = {name: template["spec"] for name, each in OBJECTS.items() if (template := template_of(each))}


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, pod in PODS.items():
        for container in pod["containers"]:
            yield name, container


def rendered() -> list[dict[str, Any]]:
    """The example as kustomize resolves it."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl, which has kustomize in it, is not installed")
    done = subprocess.run([kubectl, "kustomize", str(EXAMPLE)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_valid_by_the_schema(name: str) -> None:
    assert kubernetes_validate.validate(OBJECTS[name], VERSION, strict=True)


def test_the_schema_notices_mistakes() -> None:
    wrong = {**OBJECTS["Service/mlflow"], "spec": {"ports": "http"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_every_file_is_in_its_kustomization() -> None:
    for folder in (FOLDER / "base", EXAMPLE):
        listed = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
        assert {name for name in listed if name.endswith(".yaml")} == {
            path.name for path in FILES if path.parent == folder
        }


def test_kustomize_resolves_the_example() -> None:
    found = rendered()
    for each in found:
        assert kubernetes_validate.validate(each, VERSION, strict=True)
    kinds = {(each["kind"], each["metadata"]["name"]) for each in found}
    assert {tuple(name.split("/")) for name in OBJECTS.keys() - DASK} <= kinds
    images = set(re.findall(r"'image': '([^']*)'", str(found)))
    assert images == {"registry.example.com/lockgate:0.1.0"}


def test_policies_and_services_select_the_pods() -> None:
    """Each selector of the resolved example matches the labels of a template."""
    found = rendered()
    labels = [template["metadata"]["labels"] for each in found if (template := template_of(each))]
    selectors = [each["spec"]["podSelector"]["matchLabels"] for each in found if each["kind"] == "NetworkPolicy"]
    selectors += [each["spec"]["selector"] for each in found if each["kind"] == "Service"]
    selectors += [each["spec"]["selector"]["matchLabels"] for each in found if each["kind"] == "PodDisruptionBudget"]
    assert len(selectors) == 7
    assert [each for each in selectors if not any(each.items() <= given.items() for given in labels)] == []
    assert all(given["app.kubernetes.io/part-of"] == "lockgate" for given in labels)


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_the_rights_of_a_restricted_namespace(name: str) -> None:
    pod = PODS[name]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("lockgate", False)
    security = pod["securityContext"]
    assert (security["runAsNonRoot"], security["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    assert f"--uid {security['runAsUser']}" in dockerfile
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]) == {"requests", "limits"}


def test_no_secret_is_in_a_manifest() -> None:
    assert [name for name in OBJECTS if name.startswith("Secret/")] == []
    for name, container in containers():
        for variable in container.get("env", []):
            if re.search("PASSWORD|SECRET|KEY", variable["name"]):
                assert "secretKeyRef" in variable["valueFrom"], (name, variable["name"])


def test_a_login_of_mlflow_has_both_variables() -> None:
    """A name that MLflow does not read is no mistake of the schema."""
    for name, container in containers():
        named = {each["name"] for each in container.get("env", []) if each["name"].startswith("MLFLOW_TRACKING_")}
        logins = {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"}
        assert named - {"MLFLOW_TRACKING_URI"} in (set(), logins), name


def test_the_page_makes_every_secret_that_is_named() -> None:
    page = PAGE
    named = {
        (reference["name"], reference["key"])
        for _, container in containers()
        for variable in container.get("env", [])
        if (reference := variable.get("valueFrom", {}).get("secretKeyRef"))
    }
    made = {
        (secret, key)
        for secret, options in re.findall(r"create secret generic (\S+)((?: .*\\\n)*.*\n)", page.replace("\\\n", " "))
        for key in re.findall(r"--from-literal=([\w-]+)=", options)
    }
    made |= {(name, key) for name in re.findall(r"lockgate-database-\w+", page) for key in ("username", "password")}
    assert named <= made


def test_the_commands_exist() -> None:
    """Those of Lockgate with their options by the command line, MLflow's as in docker-compose.yml."""
    programs = set()
    for name, container in containers():
        words = container["command"]
        if words[0] == "sh":
            words = words[2].removeprefix("exec ").replace("$$", "$").split(" ")
        programs.add(words[0])
        if words[0] == "lockgate":
            _check_words(name, words[1:])
        elif words[0] == "python":
            assert (ROOT / words[1].removeprefix("/opt/lockgate/")).is_file()
        elif words[0] == "dask":
            _check_dask(words[1:])
        else:
            ours, theirs = (set(each) for each in (words, COMPOSE["mlflow"]["command"]))
            assert {word.partition("=")[0] for word in ours} == {word.partition("=")[0] for word in theirs}
    assert programs == {"lockgate", "python", "mlflow", "dask"}


def _check_dask(words: list[str]) -> None:
    command = {"scheduler": dask_scheduler.main, "worker": dask_worker.main}[words[0]]
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options


def _check_words(name: str, words: list[str]) -> None:
    found: click.Command = lockgate
    rest = list(words)
    while isinstance(found, click.Group) and rest:
        found = found.commands[rest.pop(0)]
    options = {option for parameter in found.params for option in parameter.opts}
    assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= options, name


def test_probes_ask_what_their_purpose_needs() -> None:
    [mlflow] = PODS["Deployment/mlflow"]["containers"]
    [scoring] = PODS["Deployment/scoring"]["containers"]
    assert mlflow["readinessProbe"]["exec"] == mlflow["startupProbe"]["exec"]
    assert mlflow["readinessProbe"]["exec"]["command"][1] == "/opt/lockgate/docker/registry_health.py"
    assert mlflow["livenessProbe"]["httpGet"]["path"] == "/health"
    paths = {probe: scoring[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/health", "readiness": "/health", "liveness": "/ping"}


def test_an_update_takes_no_server_away_before_another_is_ready() -> None:
    for name, described in OBJECTS.items():
        if described["kind"] == "Deployment" and name not in DASK:
            assert described["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
            assert described["spec"]["replicas"] >= 2
            assert f"PodDisruptionBudget/{name.partition('/')[2]}" in OBJECTS


def test_only_pods_of_dask_reach_the_pods_of_dask() -> None:
    marked = {"lockgate-dask": "true"}
    policy = OBJECTS["NetworkPolicy/dask"]["spec"]
    assert policy["ingress"] == [{"from": [{"podSelector": {"matchLabels": marked}}]}]
    for name in DASK:
        template = template_of(OBJECTS[name])
        assert template is None or marked.items() <= template["metadata"]["labels"].items()


def test_the_component_scales_on_a_metric_that_the_page_makes_of_one_that_the_server_has() -> None:
    [change] = yaml.safe_load(LATENCY["patches"][0]["patch"])
    assert (change["op"], change["path"]) == ("add", "/spec/metrics/-")
    scaler = OBJECTS["HorizontalPodAutoscaler/scoring"]
    spec = scaler["spec"] | {"metrics": [*scaler["spec"]["metrics"], change["value"]]}
    assert kubernetes_validate.validate(scaler | {"spec": spec}, VERSION, strict=True)
    [block] = re.findall("```yaml\\n(.*?)```", PAGE, re.DOTALL)
    [rule] = yaml.safe_load(block)["rules"]["custom"]
    assert rule["name"]["as"] == change["value"]["pods"]["metric"]["name"]
    series = re.match(r"\w+", rule["seriesQuery"])
    metrics = Metrics()
    metrics.answered(200, 0.0)
    assert series and series[0] in rule["metricsQuery"] and series[0] in metrics.page().decode()


def test_the_mlflow_server_has_the_safe_settings_of_the_embedded_one() -> None:
    [container] = PODS["Deployment/mlflow"]["containers"]
    values = {each["name"]: each.get("value") for each in container["env"]}
    assert mlflow_server.SAFE_SETTINGS.items() <= values.items()


def test_the_description_of_the_example_is_one_of_examples() -> None:
    same = (ROOT / "examples" / "churn" / "params.yaml").read_text(encoding="utf-8")
    assert (EXAMPLE / "params.yaml").read_text(encoding="utf-8") == same
