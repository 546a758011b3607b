"""DATA_DIR/platform.json: what runs, written as soon as it is started, so that `down` finds it after any accident."""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cluster.data_dir import DataDir
from cluster.processes import ProcessSession


class PlatformState(BaseModel):
    """One bring-up. Carries no secret."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    phase: str  # starting | healthy
    base_url: str
    watched: bool = False  # the embedded Postgres, with a watchdog
    owner_pid: int | None = None  # the `up` in the foreground, if there is one
    ray_sid: int | None = None
    ray_started_at: float = 0.0
    ray_dir: Path | None = None
    ray_address: str = ""
    dashboard_url: str = ""

    @property
    def ray(self) -> ProcessSession | None:
        return None if self.ray_sid is None else ProcessSession(self.ray_sid, self.ray_started_at)


def read(data: DataDir) -> PlatformState | None:
    """What the last bring-up wrote; None where there is none, or where the file is not readable as one."""
    try:
        return PlatformState.model_validate_json(data.state.read_bytes())
    except (FileNotFoundError, NotADirectoryError, PermissionError, ValidationError):
        return None


def write(data: DataDir, state: PlatformState) -> PlatformState:
    draft = data.state.with_suffix(".partial")
    draft.write_text(state.model_dump_json(indent=2) + "\n", encoding="utf-8")
    os.replace(draft, data.state)
    return state


def clear(data: DataDir) -> None:
    data.state.unlink(missing_ok=True)
