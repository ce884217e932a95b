"""What kubelet puts into a container so that it finds the API, and what a client library does with it.

From kubernetes, pkg/kubelet/envvars and pkg/kubelet (getServiceEnvVarMap); client-go, rest.InClusterConfig.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from k8slab.cluster.control import NAME, NAMESPACE
from k8slab.cluster.plain import dig, name_of, namespace_of
from k8slab.errors import Told

FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
HOST, PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"
# of the projected token; kubelet asks for a new one after 80 % of it
TOKEN_SECONDS = 3607


class NotInCluster(Told):
    """The program does not run in a Pod, as far as it can tell."""


def service_environment(service: Mapping) -> dict[str, str]:
    """The variables of one Service, in kubelet's order.

    >>> list(service_environment({"metadata": {"name": "web"}, "spec": {"clusterIP": "10.96.7.7",
    ...     "ports": [{"port": 80, "protocol": "TCP"}]}}).items())[:3]
    [('WEB_SERVICE_HOST', '10.96.7.7'), ('WEB_SERVICE_PORT', '80'), ('WEB_PORT', 'tcp://10.96.7.7:80')]
    """
    address, ports = service["spec"]["clusterIP"], service["spec"]["ports"]
    start = _mangled(name_of(service))
    found = {f"{start}_SERVICE_HOST": address, f"{start}_SERVICE_PORT": str(ports[0]["port"])}
    found |= {f"{start}_SERVICE_PORT_{_mangled(one['name'])}": str(one["port"]) for one in ports if one.get("name")}
    for number, one in enumerate(ports):
        protocol = one.get("protocol", "TCP").lower()
        url = f"{protocol}://{_host_port(address, one['port'])}"
        if not number:
            found[f"{start}_PORT"] = url
        each = f"{start}_PORT_{one['port']}_{protocol.upper()}"
        found |= {each: url, f"{each}_PROTO": protocol, f"{each}_PORT": str(one["port"]), f"{each}_ADDR": address}
    return found


def _mangled(name: str) -> str:
    return name.upper().replace("-", "_")


def _host_port(host: str, port: object) -> str:
    """As Go joins them: an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def environment(pod: Mapping, services: Iterable[Mapping]) -> dict[str, str]:
    """A container's environment at its start, as far as kubelet writes it; it does not change while the Pod runs.

    `services`: all that the cluster has. The Service `kubernetes` of the namespace `default` is always there; the
    others only in their own namespace and with service links; and what the Pod itself says wins.

    >>> environment({"metadata": {"namespace": "x"}, "spec": {"containers": [{}]}}, [])
    {}
    """
    links = dig(pod, "spec", "enableServiceLinks", default=True)
    chosen: dict[str, Mapping] = {}
    for service in services:
        name, namespace = name_of(service), namespace_of(service)
        if dig(service, "spec", "clusterIP", default="None") == "None" or not dig(service, "spec", "ports"):
            continue
        own = links and namespace == namespace_of(pod)
        if own or ((namespace, name) == (NAMESPACE, NAME) and name not in chosen):
            chosen[name] = service
    found: dict[str, str] = {}
    for name in sorted(chosen):
        found |= service_environment(chosen[name])
    written = dig(pod, "spec", "containers", 0, "env", default=[])
    return found | {one["name"]: one.get("value", "") for one in written}


def token(pod: Mapping, issuer: str, key: bytes, now: int) -> str:
    """A bearer token such as the API server signs for a Pod's service account (here with HS256). `now`: Unix seconds.

    A JWT says whose it is and until when; the API server alone can tell whether it signed it.
    """
    account = dig(pod, "spec", "serviceAccountName", default="default")
    claims = {"aud": [issuer], "exp": now + TOKEN_SECONDS, "iat": now, "iss": issuer,
              "kubernetes.io": {"namespace": namespace_of(pod), "pod": {"name": name_of(pod),
                                                                        "uid": dig(pod, "metadata", "uid")},
                                "serviceaccount": {"name": account}},
              "nbf": now, "sub": f"system:serviceaccount:{namespace_of(pod)}:{account}"}
    parts = [_coded(json.dumps(one, separators=(",", ":")).encode()) for one in ({"alg": "HS256"}, claims)]
    return ".".join([*parts, _coded(hmac.new(key, ".".join(parts).encode(), hashlib.sha256).digest())])


def claims_of(bearer: str, key: bytes, now: int) -> dict | None:
    """What a token says that was signed with this key and holds at `now`, Unix seconds; None for any other text.

    >>> signed = token({"metadata": {"namespace": "default", "name": "web"}}, "https://issuer", b"key", 1000)
    >>> claims_of(signed, b"key", 1000)["sub"], claims_of(signed, b"other", 1000), claims_of(signed, b"key", 9000)
    ('system:serviceaccount:default:default', None, None)
    """
    start, _, signature = bearer.rpartition(".")
    good = _coded(hmac.new(key, start.encode("utf-8", "replace"), hashlib.sha256).digest())
    if not start or not hmac.compare_digest(good.encode(), signature.encode("utf-8", "replace")):
        return None
    body = start.partition(".")[2]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims if claims["nbf"] <= now < claims["exp"] else None


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def account_files(pod: Mapping, authority: str, bearer: str) -> dict[str, str]:
    """The files of the service account that kubelet mounts: path to text. Empty where the Pod does not want them.

    >>> list(account_files({"metadata": {"namespace": "default"}}, "PEM", "a.b.c"))[0]
    '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt'
    """
    if not dig(pod, "spec", "automountServiceAccountToken", default=True):
        return {}
    return {f"{FOLDER}/ca.crt": authority, f"{FOLDER}/namespace": namespace_of(pod), f"{FOLDER}/token": bearer}


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """What a client library connects with. `authority_file`: "" where the file is missing, and then nothing is
    verified against it; `steps`: what it did, in order."""

    host: str
    token_file: str
    authority_file: str
    steps: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([*self.steps, f"→ {self.host}"])


def in_cluster_config(variables: Mapping[str, str], files: Mapping[str, str]) -> ClientConfig:
    """What client-go's rest.InClusterConfig and Python's load_incluster_config make of a Pod's inside. No DNS in it.

    >>> in_cluster_config({"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"},
    ...                   {"/var/run/secrets/kubernetes.io/serviceaccount/token": "t"}).host
    'https://10.96.0.1:443'

    Raises NotInCluster where a variable or the token is missing; a missing ca.crt is only logged.
    """
    host, port = variables.get(HOST, ""), variables.get(PORT, "")
    if not host or not port:
        raise NotInCluster("unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and "
                           "KUBERNETES_SERVICE_PORT must be defined")
    if not files.get(f"{FOLDER}/token"):
        raise NotInCluster(f"open {FOLDER}/token: no such file or directory")
    known = f"{FOLDER}/ca.crt" in files
    steps = (f"read {HOST}={host} and {PORT}={port} from the environment",
             f"read the bearer token from {FOLDER}/token, to be read again as kubelet renews it",
             f"trust the CA in {FOLDER}/ca.crt" if known else
             f"Expected to load root CA config from {FOLDER}/ca.crt, but got err: open {FOLDER}/ca.crt: no such file "
             "or directory")
    return ClientConfig(f"https://{_host_port(host, port)}", f"{FOLDER}/token", f"{FOLDER}/ca.crt" if known else "",
                        steps)
