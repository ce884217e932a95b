"""Which dataplane a lab stands on: the model, which always runs, or the real kernel, where the machine allows it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from k8slab.errors import Told
from k8slab.iptables import Ruleset
from k8slab.model.dataplane import Model
from k8slab.network import Network

if TYPE_CHECKING:
    from k8slab.kernel.dataplane import Kernel

DATAPLANES = ("auto", "model", "kernel")
CONTROL_PLANES = ("lab", "real")


class LabError(Told):
    """The lab cannot do what was asked; the message says why, and what it can do."""


def is_real(control_plane: str, others: bool) -> bool:
    """Whether etcd and kube-apiserver themselves are wanted; `others`: whether a network, rules or a cluster are given.

    Raises LabError for another word, and for a real one beside others.
    """
    if control_plane not in CONTROL_PLANES or control_plane == "real" and others:
        raise LabError(f"control_plane is one of {', '.join(CONTROL_PLANES)}, and a real one has the lab's own "
                       f"network, rules and cluster; not {control_plane!r} beside others")
    return control_plane == "real"


def _model(network: Network, rules: dict[str, Ruleset], seed: int) -> Model:
    return Model(network, rules, seed=seed)


def _kernel(network: Network, rules: dict[str, Ruleset], seed: int) -> Kernel:
    from k8slab.kernel.dataplane import Kernel      # a machine without Linux has no use for it
    return Kernel(network, rules)


def builder(dataplane: str) -> Callable[[Network, dict[str, Ruleset], int], Model | Kernel]:
    """What makes a dataplane of a network, rules by node and a seed. Raises LabError for one that is not there."""
    if dataplane not in DATAPLANES:
        raise LabError(f"there is no dataplane {dataplane!r}; there are {', '.join(DATAPLANES)}")
    chosen = os.environ.get("K8SLAB_DATAPLANE", "auto") if dataplane == "auto" else dataplane
    if chosen not in DATAPLANES:
        raise LabError(f"K8SLAB_DATAPLANE is {chosen!r}; it may be {', '.join(DATAPLANES)}")
    if chosen == "model":
        return _model
    from k8slab.kernel.doctor import examine
    found = examine()
    if found.whole or found.able and chosen == "kernel":
        return _kernel
    if chosen == "kernel":
        raise LabError(f"the real kernel cannot be used here: {found.why}; the model can: Lab('model')")
    return _model
