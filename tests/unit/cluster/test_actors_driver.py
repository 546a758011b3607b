"""The driver that starts the actors does not outlive the bring-up that wanted it."""

import os
from pathlib import Path

import pytest

from cluster.actors_driver import started
from cluster.topology import LOOPBACK
from planvault.errors import BringUpFailed


def test_an_interrupted_bring_up_does_not_wait_for_its_driver(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), started(f"{LOOPBACK}:1", os.environ, tmp_path / "log") as driver:
        raise KeyboardInterrupt
    assert driver.process.poll() is not None


def test_a_driver_that_fails_is_quoted(tmp_path: Path) -> None:
    """The address is none: refused before anything is tried."""
    with (
        pytest.raises(BringUpFailed, match=r"actors did not start: .*not an address"),
        started("not an address", os.environ, tmp_path / "log") as driver,
    ):
        driver.wait()
