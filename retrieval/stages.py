"""How long each stage of a selection took."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stages:
    """Milliseconds by stage. Stages may run beside each other: they need not add up to the total."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._began = monotonic()
        self._spent: dict[str, float] = {}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Counts what happens inside towards `name`, also where it ends in an error."""
        began = self._monotonic()
        try:
            yield
        finally:
            self._spent[name] = self._spent.get(name, 0.0) + self._monotonic() - began

    def milliseconds(self) -> dict[str, float]:
        """Of every stage, and `total` since the beginning."""
        spent = {**self._spent, "total": self._monotonic() - self._began}
        return {name: round(seconds * 1_000, 3) for name, seconds in spent.items()}
