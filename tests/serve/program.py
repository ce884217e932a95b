"""Where the real kubectl is."""

import os
import shutil


def kubectl_program() -> str | None:
    """The path of a real kubectl: K8SLAB_KUBECTL, or the one of the PATH."""
    return shutil.which(os.environ.get("K8SLAB_KUBECTL") or "kubectl")
