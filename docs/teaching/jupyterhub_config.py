# JupyterHub for one room, from a clone of this course in which `make setup` has run:
#
#     .venv/bin/python -m pip install 'jupyterhub>=5.3'
#     npm install configurable-http-proxy
#     K8SLAB_ROOM=/srv/room K8SLAB_PASSWORD=… PATH=$PWD/node_modules/.bin:$PWD/.venv/bin:$PATH \
#         jupyterhub -f docs/teaching/jupyterhub_config.py
#
# Each learner chooses a name and types the room's password, and gets a folder below K8SLAB_ROOM with notebooks of
# his own. All run as the account that started the hub: for people who know each other, in one room, for one day.
# For others give each an account of the system (PAMAuthenticator, LocalProcessSpawner: JupyterHub's defaults).
import os
import shutil
import sys
from pathlib import Path

from jupyterhub.auth import DummyAuthenticator
from jupyterhub.spawner import SimpleLocalProcessSpawner

c = get_config()  # noqa: F821 (JupyterHub defines it)

COURSE = Path(__file__).resolve().parents[2]
ROOM = Path(os.environ["K8SLAB_ROOM"]).resolve()
ROOM.mkdir(parents=True, exist_ok=True)


def prepare(spawner: SimpleLocalProcessSpawner) -> None:
    """Give a new learner the course's notebooks; one who comes back finds his own."""
    folder = ROOM / spawner.user.escaped_name / "notebooks"
    if not folder.exists():
        shutil.copytree(COURSE / "notebooks", folder, ignore=shutil.ignore_patterns("k8slab-progress.json*", ".ipynb*"))


c.JupyterHub.authenticator_class = DummyAuthenticator
c.DummyAuthenticator.password = os.environ["K8SLAB_PASSWORD"]
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = SimpleLocalProcessSpawner
c.SimpleLocalProcessSpawner.home_dir_template = f"{ROOM}/{{username}}"
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
c.Spawner.pre_spawn_hook = prepare
c.Spawner.notebook_dir = "~/notebooks"
c.Spawner.default_url = "/lab/tree/index.ipynb"
# A kernel takes some 150 MB: those of learners who left go after half an hour. Better not run a hub as root.
c.Spawner.args = ["--MappingKernelManager.cull_idle_timeout=1800", *["--allow-root"] * (os.geteuid() == 0)]
c.JupyterHub.db_url = f"sqlite:///{ROOM}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = str(ROOM / "cookie_secret")
