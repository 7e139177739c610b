"""Numbers and names in sentences."""

from curate.words import are, counted, listed, quoted


def test_counted():
    assert counted(1, "picture") == "1 picture"
    assert counted(1234, "picture") == "1,234 pictures"
    assert counted(0, "class") == "0 classes"
    assert counted(2, "file is", "files are") == "2 files are"


def test_are():
    assert [are(number) for number in (0, 1, 2)] == ["are", "is", "are"]


def test_listed():
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcdefghijklmn")) == "a, b, c, d, e, f, g, h, i, j and 4 more"
    assert quoted(list("abcdef")) == "'a', 'b', 'c', 'd', 'e' and 1 more"
