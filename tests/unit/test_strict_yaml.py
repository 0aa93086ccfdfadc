"""One text means one thing: what could be read in several ways, or without end, is refused with its place."""

import pytest

from lockgate.system import strict_yaml

BOMB = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    f"{chr(n + 1)}: &{chr(n + 1)} [{', '.join(['*' + chr(n)] * 9)}]\n".encode() for n in range(ord("a"), ord("i"))
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: 1\nb: 2\na: 3\n", "line 3, column 1: duplicate key a"),
        (b"gate:\n  limit: 0.10\n  limit: 0.90\n", "line 3, column 3: duplicate key limit"),
        (b"a: {b: 1, b: 2}", "line 1, column 11: duplicate key b"),
        (b"- a: 1\n  a: 1\n", "line 2, column 3: duplicate key a"),
        (b"1: a\n1: b\n", "line 2, column 1: duplicate key 1"),
        (BOMB, "an alias within an anchor"),
        (b"seed: &x [*x]", "line 1, column 11"),
        (b"a: &a 1\nb: [" + b"*a, " * 101 + b"]", "too many aliases"),
        (b"a: !!python/object/apply:os.system ['true']", "line 1, column 4: a tag"),
        (b"a: !!str 1", "a tag"),
        (b"a: [1, 2\nb: 3\n", "line 2, column 2"),
        (b"a:\n\tb: 1\n", "line 2, column 1"),
        (b"[" * 60 + b"]" * 60, "more than 40 levels"),
        (b"? [1]\n: 2\n", "line 1, column 3: a key is a list or a mapping"),
        (b"a: 1\nb: \xff", "line 2, column 4: not UTF-8"),
        (b"a: 2015-13-45", "line 1, column 4: month must be in 1..12"),
        (b"a: " + b"9" * 5000, "line 1, column 4: Exceeds the limit"),
        (b"a: &a {x: 1}\nb: &b {y: 1}\nc:\n  <<: *a\n  <<: *b\n", "line 5, column 3: duplicate key <<"),
        (b"seed: [" + b"1," * 400_000 + b"]", "more than 5,000 values"),
        (b"".join(b"k%d: 1\n" % n for n in range(90_000)), "more than 5,000 values"),
        (b"a: 1\n---\nb: 2\n", "line 2, column 1"),
        (b"a: " + b"x" * (1 << 20), "bytes, at most 1,048,576 are read"),
    ],
)
def test_it_is_refused_with_its_place(text, message):
    with pytest.raises(strict_yaml.Malformed) as refused:
        strict_yaml.parse(text)
    assert message in str(refused.value)


def test_plain_yaml_is_read_as_usual():
    text = b"a: [1, 2.5, true, null, x]\nb: &base {c: 1, d: 2}\ne: {<<: *base, d: 3}\nf: *base\n"
    base = {"c": 1, "d": 2}
    assert strict_yaml.parse(text) == {"a": [1, 2.5, True, None, "x"], "b": base, "e": {"c": 1, "d": 3}, "f": base}
