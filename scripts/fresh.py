"""Put the notebooks back as the course has them, for the next learner at the same machine.

What was changed is copied, and what was made beside the notebooks (progress, reports, captures) is moved, to
build/kept/1, 2, … : nothing is lost.

    python scripts/fresh.py
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = "notebooks"


def listed(*words: str) -> list[Path]:
    """The files that a git command names, below the project's folder."""
    done = subprocess.run(["git", "-C", str(ROOT), *words, "-z", "--", FOLDER], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the notebooks cannot be put back: {done.stderr.strip() or 'git says no'}\n"
                 f"Without git, unpack the course into a new folder.")
    return [Path(name) for name in done.stdout.split("\0") if name]


def main() -> None:
    """Keep what is a learner's, and restore the rest."""
    try:
        changed = [path for path in listed("diff", "--name-only", "HEAD") if (ROOT / path).exists()]
        made = listed("ls-files", "--others")
    except FileNotFoundError:
        sys.exit("the notebooks cannot be put back: there is no git here. Unpack the course into a new folder.")
    kept = next(place for number in count(1) if not (place := ROOT / "build/kept" / str(number)).exists())
    for path in (*changed, *made):
        (kept / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, kept / path)
    subprocess.run(["git", "-C", str(ROOT), "checkout", "--quiet", "HEAD", "--", FOLDER], check=True)
    for path in made:
        (ROOT / path).unlink()
    what = f"{len(changed)} changed and {len(made)} new files are kept in {kept.relative_to(ROOT)}."
    print(f"The notebooks are as new. {what}" if changed or made else "The notebooks are as new: nothing had changed.")


if __name__ == "__main__":
    main()
