"""`lockgate check` as a process: remarks end with 0, data that prepare would refuse with 3."""

import json
from pathlib import Path

import pytest
from test_init import LOCKGATE, run

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A problem folder whose column `net` is the price in disguise."""
    place = tmp_path_factory.mktemp("check")
    rows = [(n * 7 % 100, "abc"[n % 3], n * 7 % 100 * 3 + n * 13 % 171) for n in range(400)]
    lines = [f"{size},{area},{price},{price * 0.81:.2f}" for size, area, price in rows]
    (place / "flats.csv").write_text("\n".join(["size,area,price,net", *lines]) + "\n")
    run(place, *LOCKGATE, "init", "flats.csv", "--target", "price")
    params = place / "flats/params.yaml"
    params.write_text(params.read_text().replace("known_covariates: [", "known_covariates: [net, "))
    text = params.read_text().replace("  columns:\n", "  columns:\n    net: {type: number}\n")
    params.write_text(
        "\n".join(line for line in text.split("\n") if "leak suspect" not in line and "drop:" not in line)
    )
    return place / "flats"


def test_a_leak_suspect_is_a_remark(folder: Path) -> None:
    said = json.loads(run(folder, *LOCKGATE, "check", "--json").stdout)
    suspects = [each["column"] for each in said["remarks"] if "leak suspect" in each["what"]]
    assert "net" in suspects
    assert set(said["measures"]["missing"]) == {"net", "size", "area", "price"}


def test_the_page_and_the_picture_are_written_and_not_overwritten(folder: Path) -> None:
    run(folder, *LOCKGATE, "check", "--html", "check.html", "--plot", "check.png")
    assert (folder / "check.png").read_bytes().startswith(PNG)
    assert "leak suspect" in (folder / "check.html").read_text()
    run(folder, *LOCKGATE, "check", "--plot", "check.png", code=2)
    run(folder, *LOCKGATE, "check", "--plot", "check.png", "--force")


def test_data_that_prepare_would_refuse_are_refused_with_their_line(folder: Path, tmp_path: Path) -> None:
    raw = folder / "data/raw/flats.csv"
    good = raw.read_text()
    try:
        raw.write_text(good.replace("\n7,b,", "\nseven,b,", 1))
        refused = run(folder, *LOCKGATE, "check", code=3)
        assert "size is 'seven': not a whole number" in refused.stderr
        assert "line 3" in refused.stderr
    finally:
        raw.write_text(good)


def test_an_unknown_feature_is_refused_before_any_data_are_read(folder: Path) -> None:
    params = folder / "params.yaml"
    good = params.read_text()
    try:
        params.write_text(good.replace("problem:\n", "problem:\n  features: [plain_tabel]\n", 1))
        assert "did you mean plain_table?" in run(folder, *LOCKGATE, "check", code=8).stderr
    finally:
        params.write_text(good)
