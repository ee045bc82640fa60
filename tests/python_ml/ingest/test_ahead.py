"""Working ahead changes nothing but the time that it takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from python_ml.ingest.ahead import ahead


def test_items_come_in_their_order() -> None:
    assert list(ahead(iter(range(1_000)))) == list(range(1_000))
    assert list(ahead(iter([]))) == []
    assert list(ahead(iter([None, False]))) == [None, False]


def test_what_goes_wrong_is_raised_where_it_happened() -> None:
    def two_and_a_failure() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("three")

    got = []
    with pytest.raises(ValueError, match="three"):
        for item in ahead(two_and_a_failure()):
            got.append(item)
    assert got == [1, 2]


def test_one_item_is_made_ahead_and_no_more() -> None:
    made: list[int] = []
    second = threading.Event()

    def items() -> Iterator[int]:
        for number in range(5):
            made.append(number)
            if number == 1:
                second.set()
            yield number

    stream = ahead(items())
    assert next(stream) == 0
    assert second.wait(timeout=10)  # made while the first is in use
    stream.close()  # type: ignore[attr-defined]
    assert made == [0, 1]
    assert not [t for t in threading.enumerate() if t.name.startswith("ahead")]
