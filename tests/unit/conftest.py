"""Unit tests start no Ray: one that tries to fails."""

from typing import Any, NoReturn

import pytest
import ray


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("a unit test must not start Ray")

    monkeypatch.setattr(ray, "init", refuse)
