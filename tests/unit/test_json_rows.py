"""JSON with a list of any number of rows: one a line, written as they come."""

import datetime
import json

import pytest

from lockgate.cli import common_options


@pytest.mark.parametrize("count", [0, 1, 1_000, 2_001])
def test_rows_are_written_one_a_line_and_the_whole_is_json(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"Store": each, "day": datetime.date(2015, 8, 1), "text": 'a "b"\n'} for each in range(count)]
    common_options.print_json_rows({"model": "m", "version": 3}, "rows", iter(rows))
    printed = capsys.readouterr().out
    expected = {"model": "m", "version": 3, "rows": [row | {"day": "2015-08-01"} for row in rows]}
    assert json.loads(printed) == expected
    assert sum(line.startswith("    {") for line in printed.splitlines()) == count
