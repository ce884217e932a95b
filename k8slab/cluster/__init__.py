"""The cluster behind the rules: API objects, their store, the controllers of the `kubernetes` Service, kubectl."""

from k8slab.cluster.cluster import Cluster
from k8slab.cluster.errors import ApiError, ClusterError, Refused
from k8slab.cluster.kubelet import in_cluster_config
from k8slab.cluster.registry import Event

__all__ = ["ApiError", "Cluster", "ClusterError", "Event", "Refused", "in_cluster_config"]
