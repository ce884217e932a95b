"""pyproject.toml is the one list of dependencies: what else names them says the same."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.project.copies import ROOT, copy_project, project_files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())

# PyPI's name -> conda-forge's, where they differ. matplotlib-base is matplotlib without Qt.
CONDA_NAMES = {"matplotlib": "matplotlib-base", "PyYAML": "pyyaml"}


def test_conda_environment_has_the_same_names_and_ranges() -> None:
    wanted = {CONDA_NAMES.get(r.name, r.name): r.specifier for r in map(Requirement, PROJECT["dependencies"])}
    tools = ("python=3.12", "pip")
    listed = {r.name: r.specifier for r in map(Requirement, set(ENVIRONMENT["dependencies"]) - set(tools))}
    assert listed == wanted
    assert set(tools) <= set(ENVIRONMENT["dependencies"])
    assert ENVIRONMENT["channels"] == ["conda-forge"]


def test_every_dependency_has_a_lowest_version() -> None:
    for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]:
        assert any(part.operator == ">=" for part in Requirement(text).specifier), text


def test_import_is_light() -> None:
    heavy = ["IPython", "ipywidgets", "jupyterlab", "matplotlib", "numpy", "scapy"]
    code = f"import sys, k8slab; print([name for name in {heavy} if name in sys.modules], k8slab.__version__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[] ")


@pytest.mark.slow
def test_the_wheel_holds_the_whole_package(tmp_path: Path) -> None:
    copy = copy_project(tmp_path / "clone")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, copy]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("k8slab-*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == {path.as_posix() for path in project_files() if path.parts[0] == "k8slab"}
