"""A copy of the project as a new clone would have it."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

# What `make` and Python leave in a tree that came without git, where .gitignore is not asked.
LEFT_BEHIND = {".git", ".venv", "build", "dist", "k8slab.egg-info", "__pycache__", ".pytest_cache",
               ".hypothesis", ".ipynb_checkpoints"}


def project_files() -> list[Path]:
    """Return the paths, from ROOT, of the files that a commit would hold, as `[Path("Makefile"), ...]`.

    New files that are not yet added count; files that .gitignore names do not.
    """
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        paths = {Path(name) for name in listing.stdout.split("\0") if name}
    else:
        files = (path for path in ROOT.rglob("*") if path.is_file() or path.is_symlink())
        paths = {path.relative_to(ROOT) for path in files}
    there = (path for path in paths if os.path.lexists(ROOT / path))
    return sorted(path for path in there if not LEFT_BEHIND & set(path.parts))


def copy_project(place: Path) -> Path:
    """Copy the project's files to the folder `place`, which is made, links as links; return `place`."""
    for path in project_files():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, place / path, follow_symlinks=False)
    return place


def clean_environment() -> dict[str, str]:
    """Return the environment without what an outer `make` or pytest put there for its own children."""
    ours = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "PYTEST_", "K8SLAB_", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
