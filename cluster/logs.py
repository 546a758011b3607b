"""Where the platform's logs are: bring-up's own, the database's, and Ray's of the newest session."""

from pathlib import Path

from cluster.data_dir import existing
from cluster.ray_head import home

_TAIL_BYTES = 256 * 1024


def log_files(data_dir: Path) -> list[Path]:
    """Log files that hold something, oldest change first."""
    data = existing(data_dir)
    folders = [data.logs, data.postgres / "log", home(data) / "session_latest" / "logs"]
    found = [path for folder in folders if folder.is_dir() for path in folder.rglob("*") if _is_log(path)]
    return sorted(found, key=lambda path: path.stat().st_mtime)


def tail(path: Path, lines: int) -> str:
    """The last lines of a file; of a huge one, those within its last 256 KiB."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def _is_log(path: Path) -> bool:
    return path.suffix in {".log", ".out", ".err"} and path.is_file() and path.stat().st_size > 0
