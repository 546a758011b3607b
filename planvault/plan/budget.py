"""What one evaluation may cost, and how it fails."""

from collections.abc import Iterable

from models.values import SecretHandle, SecretText, Value

DEFAULT_STEPS = 1_000_000
DEFAULT_BYTES = 64 * 1024 * 1024
MAX_VALUE_DEPTH = 100

_SCALAR_BYTES = 8
_CONTAINER_BYTES = 16


class EvaluationFailed(Exception):
    """An expression has no value. `code` is stable; `message` says what to change, and never shows a value."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Budget:
    """Steps and bytes that are left. Every step and every byte of created text or list is paid before it is made.

    Lists and objects are paid by their *logical* size, shared parts counted each time: `[x, x]` repeated forty times
    shares its parts in memory, but is written out whole by whoever stores it.
    """

    __slots__ = ("bytes_left", "may_meet_secrets", "steps_left")

    def __init__(
        self,
        steps: int = DEFAULT_STEPS,
        bytes: int = DEFAULT_BYTES,  # noqa: A002 - the word for it
        *,
        may_meet_secrets: bool = True,
    ) -> None:
        """`may_meet_secrets`: False where no value can hold one, so that nobody has to look for them."""
        self.steps_left = steps
        self.bytes_left = bytes
        self.may_meet_secrets = may_meet_secrets

    def step(self, count: int = 1) -> None:
        self.steps_left -= count
        if self.steps_left < 0:
            raise EvaluationFailed("STEPS_EXCEEDED", "The expression takes too many steps: work on less data.")

    def create(self, size: int) -> None:
        """Pay for `size` bytes that are about to be created."""
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise EvaluationFailed("BYTES_EXCEEDED", "The expression builds too large a value: keep only what is used.")

    def create_text(self, text: str) -> None:
        """Pay for a copy of `text`."""
        self.create(text_bytes(text))

    def create_values(self, values: Iterable[Value]) -> None:
        """Pay for a new container that holds `values`, each at its logical size."""
        self.create(_CONTAINER_BYTES)
        for value in values:
            self._pay(value)

    def visit(self, value: Value) -> None:
        """Pay the steps of looking at all of `value`; fails if it is nested too deeply to be looked at."""
        waiting: list[tuple[Value, int]] = [(value, 1)]
        while waiting:
            current, depth = waiting.pop()
            self.step()
            if isinstance(current, (list, dict)):
                _check_depth(depth)
                inner = current.values() if isinstance(current, dict) else current
                self.step(len(current))
                waiting.extend((item, depth + 1) for item in inner)

    def _pay(self, value: Value) -> None:
        waiting: list[tuple[Value, int]] = [(value, 2)]
        while waiting:
            current, depth = waiting.pop()
            self.step()
            self.create(_SCALAR_BYTES)
            if isinstance(current, str):
                self.create_text(current)
            elif isinstance(current, SecretText):
                self.create(sum(_part_bytes(part) for part in current.parts))
            elif isinstance(current, list):
                _check_depth(depth)
                self.step(len(current))
                waiting.extend((item, depth + 1) for item in current)
            elif isinstance(current, dict):
                _check_depth(depth)
                self.step(len(current))
                for key, item in current.items():
                    self.create_text(key)
                    waiting.append((item, depth + 1))


def text_bytes(text: str) -> int:
    """Bytes of `text` in UTF-8, counted without a copy: at most four a character."""
    return len(text) if text.isascii() else len(text) * 4


def _part_bytes(part: str | SecretHandle) -> int:
    return text_bytes(part if isinstance(part, str) else part.name)


def _check_depth(depth: int) -> None:
    if depth > MAX_VALUE_DEPTH:
        raise EvaluationFailed("TOO_DEEP", f"A value is nested more than {MAX_VALUE_DEPTH} levels deep.")
