"""The cluster behind the rules: API objects, their store, the controllers of the `kubernetes` Service, kubectl.

What stands here by name is imported when somebody takes it: a lab without a cluster reads the kinds of objects, and
has no use for certificates, which take longer to import than the lab to be made.
"""

from importlib import import_module
from typing import Any

_PLACES = {"ApiError": "errors", "Cluster": "cluster", "ClusterError": "errors", "Event": "registry",
           "Refused": "errors", "in_cluster_config": "kubelet"}
__all__ = ["ApiError", "Cluster", "ClusterError", "Event", "Refused", "in_cluster_config"]


def __getattr__(name: str) -> Any:
    """Python asks here for what is not in the module yet."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
