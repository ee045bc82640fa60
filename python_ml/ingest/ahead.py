"""Working ahead: the next item is made while the last one is being used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

Item = TypeVar("Item")

_END = object()


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items, each made by another thread while its predecessor is in use.

    One item is made ahead, so memory grows by one item. What goes wrong in making an item is raised
    where it would have been yielded. When the consumer stops early, the item at work is finished
    and thrown away.
    """
    with ThreadPoolExecutor(1, "ahead") as worker:
        coming = worker.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = worker.submit(next, items, _END)
            yield cast(Item, item)
