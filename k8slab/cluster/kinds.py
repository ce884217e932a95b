"""The kinds of objects: names in the API, in etcd and on kubectl's command line.

`kubectl api-resources` of a 1.36 API server names more groups: here are core, discovery, coordination and the part
of networking that ClusterIPs need. Kinds without an etcd prefix are named by it and not stored here.
"""

from __future__ import annotations

from dataclasses import dataclass

from k8slab.errors import Told


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object. `prefix`: where its objects lie in etcd; "" for a kind that this cluster does not store."""

    kind: str
    plural: str
    short: tuple[str, ...] = ()
    group: str = ""
    namespaced: bool = True
    prefix: str = ""
    generation: bool = False  # whether metadata.generation counts changes of its spec
    status: bool = False      # whether its status is a subresource, which ordinary writes leave alone
    warning: str = ""

    @property
    def api_version(self) -> str:
        """`discovery.k8s.io/v1`, or `v1` for the core group."""
        return f"{self.group}/v1" if self.group else "v1"

    @property
    def resource(self) -> str:
        """`endpointslices.discovery.k8s.io`, or `services`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified(self) -> str:
        """`EndpointSlice.discovery.k8s.io`, or `Service`."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def singular(self) -> str:
        """`endpointslice`: what kubectl calls one."""
        return self.kind.lower()

    def path(self, namespace: str = "", name: str = "") -> str:
        """Where HTTP finds it.

        >>> SERVICE.path("default", "kubernetes")
        '/api/v1/namespaces/default/services/kubernetes'
        """
        root = f"/apis/{self.api_version}" if self.group else "/api/v1"
        within = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{within}/{self.plural}" + (f"/{name}" if name else "")

    def key(self, namespace: str = "", name: str = "") -> str:
        """Where etcd has it.

        >>> SERVICE.key("default", "kubernetes")
        '/registry/services/specs/default/kubernetes'
        """
        return self.prefix + (f"{namespace}/" if self.namespaced and namespace else "") + name


DISCOVERY, NETWORKING, COORDINATION = "discovery.k8s.io", "networking.k8s.io", "coordination.k8s.io"
ENDPOINTS_WARNING = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"

SERVICE = Kind("Service", "services", ("svc",), prefix="/registry/services/specs/", status=True)
ENDPOINTS = Kind("Endpoints", "endpoints", ("ep",), prefix="/registry/services/endpoints/", warning=ENDPOINTS_WARNING)
POD = Kind("Pod", "pods", ("po",), prefix="/registry/pods/", status=True, generation=True)
NODE = Kind("Node", "nodes", ("no",), namespaced=False, prefix="/registry/minions/", status=True)
NAMESPACE = Kind("Namespace", "namespaces", ("ns",), namespaced=False, prefix="/registry/namespaces/", status=True)
EVENT = Kind("Event", "events", ("ev",), prefix="/registry/events/")
CONFIG_MAP = Kind("ConfigMap", "configmaps", ("cm",), prefix="/registry/configmaps/")
SERVICE_ACCOUNT = Kind("ServiceAccount", "serviceaccounts", ("sa",), prefix="/registry/serviceaccounts/")
ENDPOINT_SLICE = Kind("EndpointSlice", "endpointslices", (), DISCOVERY, prefix="/registry/endpointslices/",
                      generation=True)
LEASE = Kind("Lease", "leases", (), COORDINATION, prefix="/registry/leases/")
SERVICE_CIDR = Kind("ServiceCIDR", "servicecidrs", (), NETWORKING, False, "/registry/servicecidrs/", status=True)
IP_ADDRESS = Kind("IPAddress", "ipaddresses", ("ip",), NETWORKING, False, "/registry/ipaddresses/")

KINDS = (
    Kind("Binding", "bindings"), Kind("ComponentStatus", "componentstatuses", ("cs",), namespaced=False),
    CONFIG_MAP, ENDPOINTS, EVENT, Kind("LimitRange", "limitranges", ("limits",)), NAMESPACE, NODE,
    Kind("PersistentVolumeClaim", "persistentvolumeclaims", ("pvc",)),
    Kind("PersistentVolume", "persistentvolumes", ("pv",), namespaced=False), POD, Kind("PodTemplate", "podtemplates"),
    Kind("ReplicationController", "replicationcontrollers", ("rc",)),
    Kind("ResourceQuota", "resourcequotas", ("quota",)), Kind("Secret", "secrets"), SERVICE_ACCOUNT, SERVICE,
    LEASE, ENDPOINT_SLICE, IP_ADDRESS, SERVICE_CIDR,
)
BY_KIND = {one.kind: one for one in KINDS}
_WORDS = {word: one for one in KINDS
          for word in (one.plural, one.singular, *one.short, one.resource, f"{one.singular}.{one.group}")}


class UnknownKind(Told):
    """There is no kind of that name."""


def find_kind(word: str) -> Kind:
    """The kind that a word of kubectl's command line means: plural, singular or short, with or without group.

    >>> find_kind("ep").kind, find_kind("EndpointSlice").plural
    ('Endpoints', 'endpointslices')

    Raises UnknownKind for any other word.
    """
    kind = _WORDS.get(word.lower())
    if kind is None:
        raise UnknownKind(f'the server doesn\'t have a resource type "{word}"')
    return kind
