"""The command line as a contract: names, flags, help, exit codes that need no server."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner
from paired_rows import CHURN, ENGINES

from lockgate.cli import lockgate, predict, status
from lockgate.cli.common_options import Number
from lockgate.errors import StateConflict
from lockgate.operations.predict import Done
from lockgate.problem.params import MonitorParams
from lockgate.system.exit_codes import Session

PROJECT = Path(__file__).parents[2]
FLAGS = {
    "up": {"--port", "--artifacts", "--workers", "--worker-memory"},
    "down": set(),
    "env": set(),
    "backup": {"--artifacts", "--no-artifacts", "--dry-run", "--json"},
    "restore": {"--artifacts", "--replace", "--yes", "--dry-run"},
    "migrate": {"--no-logins", "--no-roles"},
    "roles install": set(),
    "roles status": {"--json"},
    "status": {"--json"},
    "list": {"--json"},
    "show": {"--json"},
    "verdict": {"--markdown", "--json"},
    "promote": {"--reason", "--expect-current", "--yes", "--dry-run"},
    "rollback": {"--to", "--reason", "--if-alert", "--yes", "--dry-run"},
    "approve": {"--reason", "--by"},
    "reject": {"--reason"},
    "retire": {"--reason", "--yes", "--dry-run"},
    "history": {"--at", "--since", "--limit", "--json"},
    "guard status": {"--json"},
    "guard install": set(),
    "guard remove": set(),
    "guard cover": set(),
    "guard uncover": {"--yes"},
    "ledger verify": {"--export"},
    "ledger export": set(),
    "truth load": {"--json"},
    "log last": {"--segment", "--limit", "--json"},
    "log drain": {"--json"},
    "log retain": {"--older-than", "--yes", "--dry-run", "--json"},
    "compare": {"--html", "--force", "--json", "--input"},
    "gc": {"--keep", "--older-than", "--yes", "--dry-run", "--json"},
    "doctor": {"--repair", "--all", "--json"},
    "register": {"--problem", "--trained-until", "--target", "--columns", "--classes", "--prepared", "--json"},
    "refit": {"--reason", "--prepared", "--json"},
    "validate": {"--prepared", "--json"},
    "predict": {"--input", "--output", "--stage", "--version", "--force", "--confidence"}
    | {"--no-fallback", "--fallback-days", "--skip-bad", "--bad-rows", "--no-log"},
    "explain": {"--input", "--request", "--row", "--key", "--date", "--stage", "--version"}
    | {"--top", "--plot", "--force", "--no-fallback", "--fallback-days", "--json"},
    "forecast": {"--key", "--all", "--periods", "--from", "--known", "--output", "--stage", "--version"}
    | {"--confidence", "--force", "--no-log", "--no-fallback", "--fallback-days", "--json"},
    "serve": {"--stage", "--host", "--port", "--shadow", "--canary", "--no-log", "--no-fallback", "--fallback-days"}
    | {"--workers", "--grace", "--keep-previous", "--no-pin"},
    "canary": {"--reason", "--json"},
    "monitor": {
        "--window",
        "--role",
        "--watch",
        "--webhook",
        "--on-alert",
        "--html",
        "--force",
        "--prepared",
        "--json",
    },
    "replay": {"--days", "--prepared", "--json"},
    "backtest": {"--origins", "--apart", "--json", "--plot"},
    "probe": {"--json"},
    "sweep": {"--trials", "--hours", "--workers", "--resume", "--apply", "--json"},
    "check": {"--html", "--plot", "--force", "--json"},
    "init": {"--target", "--time", "--key", "--horizon", "--task", "--side", "--names", "--folder", "--name", "--json"},
}
COMMON = {"--timeout", "--debug", "--result-json"}
ASK_NO_SERVER = {"backtest", "check", "init", "probe"}


def commands(group, above=""):
    """Every command by its words, those of groups included."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


COMMANDS = dict(commands(lockgate))


def run(*words, folder=PROJECT, **environment):
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("MLFLOW_", "LOCKGATE_"))}
    return subprocess.run(
        [sys.executable, "-m", "lockgate", *words],
        cwd=folder,
        env=kept | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_the_commands_and_their_flags_are_these():
    found = {
        name: {flag for option in command.params for flag in option.opts if flag.startswith("--")}
        for name, command in COMMANDS.items()
    }
    common = {name: COMMON - ({"--timeout"} if name in ASK_NO_SERVER else set()) for name in FLAGS}
    assert found == {name: flags | common[name] for name, flags in FLAGS.items()}


@pytest.mark.parametrize("name", FLAGS)
def test_every_command_has_help_with_an_example(name):
    command = COMMANDS[name]
    assert command.help.rstrip().endswith((".", ")."))
    assert "Example:" in command.epilog
    assert f"lockgate {name}" in command.epilog


def test_help_imports_nothing_heavy():
    code = "import sys, lockgate.cli; sys.exit(bool({'mlflow', 'pandas', 'sqlalchemy', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 0


@pytest.mark.parametrize(
    ("words", "environment", "code", "says"),
    [
        (["promte"], {}, 2, "No such command"),
        (["gc", "--older-than", "soon"], {}, 2, "no span of time: soon"),
        (["gc", "--keep", "0"], {}, 2, "0 is not in the range"),
        (["promote"], {}, 2, "Missing option '--reason'"),
        (["status"], {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}, 8, "LOCKGATE_DATABASE_URL is not set"),
        (
            ["predict", "--input", "-", "--output", "-"],
            {
                "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
                "LOCKGATE_DATABASE_URL": "postgresql+psycopg2://nobody@127.0.0.1:9/lockgate",
            },
            3,
            "no data rows: the file is empty (standard input)",
        ),
        (
            ["status"],
            {
                "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
                "LOCKGATE_DATABASE_URL": "postgresql+psycopg2://u:secret@127.0.0.1:9/d",
            },
            6,
            "",
        ),
        (["compare", "1"], {}, 2, "Missing argument 'W'"),
        (["compare", "1", "1"], {}, 2, "both versions are 1"),
        (["compare", "1", "2", "--html", "page.txt"], {}, 2, "the output is not .html"),
        (["compare", "1", "2", "--html", "nowhere/page.html"], {}, 2, "cannot be written"),
        (["register", "x", "--problem", "a b/ü"], {}, 2, r"the problem in params.yaml is rossmann, not a b/\xfc"),
        (["register", "x", "--trained-until", "soon"], {}, 2, "is no date"),
        (["register", "x", "--target", "customers"], {}, 2, "is not one of 'value', 'log', 'log1p', 'prob"),
        (["status", "-1"], {}, 2, "No such option"),
        (["reject", "-x", "--reason", "x"], {}, 2, "No such option"),
        (["validate", "3"], {}, 2, "there are no prepared tables in data/prepared"),
        (["predict", "--input", "x", "--output", "y", "--confidence", "1.5"], {}, 2, "the confidence is 1.5"),
        (["predict", "--input", "x", "--output", "y", "--stage", "Production", "--version", "1"], {}, 2, "exclude"),
        (["predict", "--input", "x", "--output", "-", "--skip-bad"], {}, 2, "needs a file for the bad rows"),
        (["forecast", "--periods", "3"], {}, 2, "no key is named"),
        (["forecast", "--key", "Store"], {}, 2, "--key is 'Store'"),
        (["forecast", "--all", "--key", "Store=1"], {}, 2, "exclude each other"),
    ],
)
def test_what_cannot_work_ends_with_its_code_and_no_traceback(words, environment, code, says, tmp_path):
    (tmp_path / "params.yaml").write_text((PROJECT / "params.yaml").read_text())
    ended = run(*words, folder=tmp_path, **environment)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "secret" not in ended.stderr


@pytest.mark.parametrize(("problem", "horizon"), [(CHURN, "no time"), (ENGINES, "horizon: 0")])
@pytest.mark.parametrize("words", [["backtest"], ["probe"], ["refit", "1", "--reason", "x"], ["forecast", "--all"]])
def test_a_command_of_panels_refuses_other_problems_and_says_what_their_horizon_is(words, problem, horizon, tmp_path):
    limit = 0.2 if problem.task == "binary" else 1
    described = {
        "problem": problem.model_dump(mode="json"),
        "gate": {"limit": limit, "over_serving": 0.1, "over_slice": 0.1},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(described))
    ended = run(*words, folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"{words[0]} is for problems with a horizon above 0, and {problem.name} has {horizon}" in ended.stderr


@pytest.mark.parametrize("number", ["0", "latest", "1.5", "1_0", "٣", "9" * 5000])
@pytest.mark.parametrize(
    "words",
    [
        ["promote", "--reason", "x", "--yes", "VERSION"],
        ["promote", "--reason", "x", "--yes", "--expect-current", "VERSION"],
        ["approve", "--reason", "x", "VERSION"],
        ["reject", "--reason", "x", "VERSION"],
        ["rollback", "--reason", "x", "--yes", "--to", "VERSION"],
        ["show", "VERSION"],
        ["verdict", "VERSION"],
        ["validate", "VERSION"],
        ["refit", "--reason", "x", "VERSION"],
        ["compare", "1", "VERSION"],
        ["predict", "--input", "x", "--output", "y", "--version", "VERSION"],
    ],
)
def test_what_no_version_is_called_is_refused_as_one_that_is_not_there(words, number):
    given = [number if word == "VERSION" else word for word in words]
    refusal = CliRunner().invoke(lockgate, given, obj=Session()).exception
    assert isinstance(refusal, StateConflict)
    assert (refusal.exit_code, str(refusal)) == (5, f"no version is called {ascii(number)[1:-1][:60]}")
    assert refusal.hint == "versions are numbered from 1; see them with: lockgate list"


@pytest.mark.parametrize(
    "words",
    [
        ["verdict", "-1"],
        ["verdict", "--", "-1"],
        ["promote", "-12", "--reason", "x"],
        ["rollback", "--to", "-1", "--reason", "x"],
    ],
)
def test_a_number_below_zero_is_no_version_either(words, tmp_path):
    ended = run(*words, folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (5, "")
    assert ended.stderr.startswith("error: no version ")


def test_the_result_file_tells_of_a_version_that_cannot_be_wherever_it_is_named(tmp_path):
    ended = run("show", "0", "--result-json", "result.json", folder=tmp_path)
    assert ended.returncode == 5
    assert json.loads((tmp_path / "result.json").read_text())["code"] == "StateConflict"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["promot"], "No such command 'promot'. Did you mean 'promote'?", "see: lockgate --help"),
        (["guard", "status", "--fast"], "No such option '--fast'.", "see: lockgate guard status --help"),
        (["compare", "1"], "Missing argument 'W'.", "see: lockgate compare --help"),
        (["list", "--timeout", "0.1"], "Invalid value for '--timeout': 0.1 is not in the range 0.5<=x<=3600.",
         "see: lockgate list --help"),
    ],
)  # fmt: skip
def test_words_that_do_not_fit_are_refused_like_all_else(words, message, hint, tmp_path):
    ended = run(*words, folder=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"error: {message}\nhint: {hint}\n")


def test_the_result_file_tells_of_a_word_that_is_missing(tmp_path):
    assert run("compare", "1", "--result-json", "result.json", folder=tmp_path).returncode == 2
    assert json.loads((tmp_path / "result.json").read_text())["code"] == "WrongUsage"


def test_without_a_stack_the_hint_is_to_start_one(tmp_path):
    (tmp_path / "params.yaml").write_text((PROJECT / "params.yaml").read_text())
    ended = run("status", "--result-json", "result.json", folder=tmp_path)
    assert ended.returncode == 8
    assert "lockgate up" in ended.stderr
    assert json.loads((tmp_path / "result.json").read_text())["code"] == "BadConfiguration"


def test_without_params_the_command_says_so(tmp_path):
    ended = run("status", folder=tmp_path)
    assert ended.returncode == 8
    assert "params.yaml" in ended.stderr


@pytest.mark.parametrize("text", ["", "   ", "\u00a0", "two\nlines", "zero\u200bwidth", "\x1b[31mred", "x" * 2001])
@pytest.mark.parametrize(
    "words",
    [
        ["promote", "--yes", "--reason"],
        ["rollback", "--yes", "--reason"],
        ["retire", "--yes", "--reason"],
        ["approve", "1", "--reason"],
        ["approve", "1", "--reason", "good", "--by"],
        ["reject", "1", "--reason"],
        ["refit", "1", "--reason"],
    ],
)
def test_a_reason_or_name_that_cannot_be_read_is_a_usage_error(words, text):
    ended = CliRunner().invoke(lockgate, [*words, text], obj=Session())
    assert ended.exit_code == 2
    assert "Invalid value for '--" in ended.output


@pytest.mark.parametrize("dash", ["\u2013", "\u2014", "\u2212", "\u2010", "\u2013-", "\uff0d\uff0d"])
def test_a_dash_that_is_no_hyphen_is_named(dash, tmp_path):
    ended = run("promote", "1", f"{dash}reason", "better", folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "is no hyphen" in ended.stderr
    assert "hint: type two hyphens: --reason" in ended.stderr


def test_a_dash_within_a_reason_is_fine():
    ended = CliRunner().invoke(lockgate, ["promote", "--reason", "\u2014 because", "--help"], obj=Session())
    assert ended.exit_code == 0


def copied_project(tmp_path):
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_text((PROJECT / name).read_text())
    return tmp_path


def test_a_command_works_from_any_folder_below_the_project(tmp_path):
    below = copied_project(tmp_path) / "data" / "raw"
    below.mkdir(parents=True)
    ended = run("validate", "3", "--result-json", "result.json", folder=below)
    assert ended.returncode == 2
    assert "there are no prepared tables in data/prepared" in ended.stderr
    assert (below / "result.json").exists()
    named = run("validate", "3", "--prepared", "mine", folder=below)
    assert f"there are no prepared tables in {below / 'mine'}" in named.stderr


def test_lockgate_alone_says_what_to_do_next(tmp_path):
    outside = run(folder=tmp_path)
    assert (outside.returncode, outside.stdout.splitlines()[0][:15]) == (0, "no project here")
    (tmp_path / "below").mkdir()
    copied_project(tmp_path)
    stopped = run(folder=tmp_path / "below")
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert stopped.stdout.startswith("rossmann-ensemble: no addresses of MLflow and Postgres")
    assert "next: start one with: lockgate up" in stopped.stdout


def test_tab_completion_is_clicks_own(tmp_path):
    assert "eval" in run("--help", folder=tmp_path).stdout
    script = run(folder=tmp_path, _LOCKGATE_COMPLETE="bash_source")
    assert "_lockgate_completion" in script.stdout


def test_python_without_docstrings_is_a_configuration_error(tmp_path):
    """LightGBM and XGBoost cannot be imported then, by whichever way in."""
    ended = run("status", folder=copied_project(tmp_path), PYTHONOPTIMIZE="2")
    assert (ended.returncode, ended.stdout) == (8, "")
    assert ended.stderr.endswith("hint: unset PYTHONOPTIMIZE\n")
    assert run("--help", folder=tmp_path, PYTHONOPTIMIZE="1").returncode == 0


def test_no_option_takes_what_is_no_finite_number(tmp_path):
    types = [option.type for command in COMMANDS.values() for option in command.params]
    ranges = [each for each in types if isinstance(each, click.FloatRange)]
    assert ranges and all(isinstance(each, Number) for each in ranges)
    ended = run("status", "--timeout", "nan", folder=copied_project(tmp_path))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "'nan' is not a finite number" in ended.stderr


@pytest.mark.parametrize("option", ["--at", "--since"])
@pytest.mark.parametrize("text", ["", "yesterday"])
def test_a_moment_that_is_none_is_a_usage_error_before_any_server_is_asked(option, text, tmp_path):
    ended = run("history", option, text, folder=copied_project(tmp_path))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"{option} is not a time" in ended.stderr


def test_status_refuses_a_production_that_is_older_than_its_limit():
    now, limits = datetime(2026, 4, 2, tzinfo=UTC), MonitorParams(production_days=90)
    assert status.too_old(now - timedelta(days=89), now, limits) == ""
    assert status.too_old(now - timedelta(days=90), now, limits).endswith("90 days ago; limit 90 days")
    assert status.too_old(None, now, limits) == ""


@pytest.mark.parametrize(("days", "said"), [(89, ""), (91, "version 3 is too old")])
def test_forecasts_of_a_production_that_is_older_than_its_limit_come_with_a_warning(days, said, tmp_path, monkeypatch):
    monkeypatch.chdir(copied_project(tmp_path))
    done = Done(7, 3, (), production_since=datetime.now(UTC) - timedelta(days=days))
    printed = CliRunner().invoke(
        click.Command("predict", callback=lambda: predict.tell_done(done, Path("f.csv"))), obj=Session()
    )
    assert (printed.exit_code, printed.stdout) == (0, "7 rows forecast by version 3 in f.csv\n")
    assert printed.stderr.startswith(said) and len(printed.stderr.splitlines()) == bool(said)


def test_every_name_that_the_command_room_offers_is_there():
    exec("from lockgate.cli import *", {})
