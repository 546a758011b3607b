"""What the README says of configuration is what the code reads."""

import re
from pathlib import Path

from typer.main import get_group

from planvault.cli.main import app
from planvault.settings import Settings

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(?P<variable>[A-Z_0-9]+)` \| (?P<default>.*?) \| (?P<meaning>.*) \|$", re.MULTILINE)


def test_every_setting_has_its_row_and_no_row_is_stale() -> None:
    documented = {row["variable"]: (row["default"], row["meaning"]) for row in ROW.finditer(README)}
    expected = {}
    for name, field in Settings.model_fields.items():
        variable = str(field.validation_alias or f"PLANVAULT_{name.upper()}")
        default = "empty" if field.default in ("", None) else f"`{field.default}`"
        expected[variable] = (documented.get(variable, ("",))[0] if name == "data_dir" else default, field.description)
    assert documented == expected


def test_every_linked_page_exists() -> None:
    root = Path(__file__).resolve().parents[2]
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (root / target).exists(), f"README links to {target}, which is not there"


def test_every_command_is_named() -> None:
    listed = re.search(r"^`planvault (up .*?)`", README, re.MULTILINE | re.DOTALL)
    assert listed
    assert set(listed[1].replace("|", " ").split()) == set(get_group(app).commands)
