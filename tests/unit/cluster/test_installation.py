"""No foreign distribution stands in the place of our packages."""

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from cluster import installation
from cluster.installation import ROOTS, faults, refuse_foreign_packages
from planvault.errors import BringUpFailed


def test_this_environment_is_sound() -> None:
    assert faults() == []


def test_every_package_of_the_wheel_is_watched() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert set(ROOTS) == set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert project["project"]["name"] == installation.OUR_DISTRIBUTION


def test_a_distribution_that_claims_a_name_of_ours_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    claims = {"models": ["some-models", installation.OUR_DISTRIBUTION], "cluster": [installation.OUR_DISTRIBUTION]}
    monkeypatch.setattr(metadata, "packages_distributions", lambda: claims)
    with pytest.raises(BringUpFailed, match="pip uninstall some-models"):
        refuse_foreign_packages()


def test_a_package_imported_from_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        installation, "origin", lambda root: Path("/elsewhere") if root == "migrations" else Path("/here")
    )
    assert faults() == ["`migrations` is imported from /elsewhere, not from /here"]
