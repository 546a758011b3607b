import base64
import json
import os
import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from planvault.crypto.keyset import load, load_or_create
from planvault.errors import BringUpFailed


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    path.chmod(0o600)
    return path


def entry(kek_id: str, *, size: int = 32, algorithm: str = "AES-256-GCM") -> dict[str, str]:
    return {"id": kek_id, "algorithm": algorithm, "key": base64.b64encode(bytes(size)).decode()}


def keyset(*keys: dict[str, str], primary: str = "a") -> dict[str, object]:
    return {"format": "planvault-keyset/1", "primary": primary, "keys": list(keys)}


def test_the_first_use_makes_a_private_file_and_later_uses_read_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keyset.json"
    made = load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_or_create(path) == made
    assert len(made.keys[made.primary]) == 32
    assert [child.name for child in path.parent.iterdir()] == ["keyset.json"]  # no draft stays


def test_processes_that_start_at_once_agree_on_one_keyset(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        made = list(pool.map(load_or_create, [tmp_path / "keyset.json"] * 8))
    assert all(keys == made[0] for keys in made)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_file_that_others_may_open_is_refused_with_the_command_that_helps(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keyset.json"
    load_or_create(path)
    path.chmod(mode)
    with pytest.raises(BringUpFailed, match=f"chmod 600 {path}"):
        load(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keyset.json"
    load_or_create(path)
    os.chown(path, 4242, -1)
    with pytest.raises(BringUpFailed, match="another user"):
        load(path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        "[]",
        keyset(),
        keyset(entry("a"), primary="b"),
        keyset(entry("a"), entry("a")),
        keyset(entry("a", size=16)),
        keyset(entry("a", algorithm="AES-128-CBC")),
        keyset(entry("a")) | {"format": "planvault-keyset/2"},
        keyset(entry("a")) | {"surplus": 1},
        keyset({"id": "a", "algorithm": "AES-256-GCM", "key": "not base64!"}),
    ],
)
def test_a_damaged_file_is_refused_and_never_replaced(tmp_path: Path, content: object) -> None:
    path = write(tmp_path / "keyset.json", content)
    before = path.read_bytes()
    with pytest.raises(BringUpFailed, match=r"keyset\.json"):
        load_or_create(path)
    assert path.read_bytes() == before


def test_a_refusal_quotes_nothing_of_the_file(tmp_path: Path) -> None:
    canary = "canary-material-canary-material"
    path = write(tmp_path / "keyset.json", keyset(entry("a")) | {"format": canary, "surplus": canary})
    with pytest.raises(BringUpFailed) as refused:
        load(path)
    assert canary not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BringUpFailed, match="not a regular file"):
        load(tmp_path)
