"""Runs `cluster.start_actors` in a process of its own, and ends that where the bring-up ends first."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.patience import late, patience
from planvault.errors import BringUpFailed

TIMEOUT_S = 90.0


@dataclass(frozen=True, slots=True)
class ActorsDriver:
    """A driver at work."""

    process: subprocess.Popen[bytes]
    log: Path
    limit_s: float = TIMEOUT_S

    def wait(self) -> None:
        """Raises BringUpFailed with the driver's last words."""
        try:
            status = self.process.wait(self.limit_s)
        except subprocess.TimeoutExpired:
            raise late(f"The platform's actors (log: {self.log}) did not start", self.limit_s) from None
        if status != 0:
            lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
            raise BringUpFailed(f"The platform's actors did not start: {lines[-1] if lines else 'no reason given'}")


@contextmanager
def started(address: str, environment: Mapping[str, str], log: Path) -> Iterator[ActorsDriver]:
    """A driver against the Ray at `address`; killed at the end of the block, however that comes about."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "cluster.start_actors", address],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
        )
    try:
        yield ActorsDriver(process, log, TIMEOUT_S * patience(environment))
    finally:
        process.kill()
        process.wait()
