"""A real control plane in the lab: etcd and kube-apiserver, two processes in the namespace of the node k8smaster.

They run as whoever runs the lab, on the lab's addresses, with certificates and tokens that are made for it and lie in
a folder of its owner alone; all is gone with the lab. There is nothing else, as in the cluster whose recordings the
tests compare with: no kubelet, no scheduler, no controller manager. Time is the machine's own.

Where one of the two programs is missing, `missing` says which, and HOW how to get it. The flags are those of the two
programs' documentation. Tried were etcd 3.4.23, and a stand-in for kube-apiserver that takes the same flags; a
kube-apiserver itself was not at hand.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from k8slab.cluster import certificates, kubelet
from k8slab.cluster.cluster import NODES, SERVICE_CIDR
from k8slab.cluster.errors import ApiError, ClusterError, Refused
from k8slab.cluster.http.remote import Remote
from k8slab.cluster.kinds import ENDPOINT_SLICE, NODE, SERVICE
from k8slab.cluster.kubectl import Answer, kubectl
from k8slab.cluster.kubelet import FOLDER
from k8slab.cluster.shell import filtered, piped
from k8slab.kubeproxy import Config, Node, Proxier, Sync, pod_cidr, read_objects, setup
from k8slab.network import API_SERVER_PORT, POD_RANGE, cluster_network

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8slab.kernel.dataplane import Kernel
    from k8slab.network import Network

HOST = "k8smaster"
PROGRAMS = ("etcd", "kube-apiserver")
HOW = "conda install -c conda-forge kubernetes-server etcd"
READY, LOOK = 90.0, 0.25          # seconds that the API server may take to become ready, and between two looks
ETCD, PEER = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
ISSUER = f"https://kubernetes.default.svc.{certificates.DOMAIN}"


def missing() -> tuple[str, ...]:
    """The programs of a control plane that are not on the PATH."""
    return tuple(one for one in PROGRAMS if not shutil.which(one))


def etcd_words(folder: str) -> list[str]:
    """How etcd is started: one member, on loopback alone."""
    return [shutil.which("etcd") or "etcd", "--name=default", f"--data-dir={folder}/etcd",
            f"--listen-client-urls={ETCD}", f"--advertise-client-urls={ETCD}", f"--listen-peer-urls={PEER}",
            f"--initial-advertise-peer-urls={PEER}", f"--initial-cluster=default={PEER}"]


def apiserver_words(folder: str, address: str, service_cidr: str = SERVICE_CIDR) -> list[str]:
    """How kube-apiserver is started: every flag is documented, and none asks for a privilege.

    >>> apiserver_words("/tmp/x", "10.106.175.128")[1:3]
    ['--advertise-address=10.106.175.128', '--bind-address=0.0.0.0']
    """
    return [shutil.which("kube-apiserver") or "kube-apiserver", f"--advertise-address={address}",
            "--bind-address=0.0.0.0", f"--secure-port={API_SERVER_PORT}", f"--etcd-servers={ETCD}",
            f"--service-cluster-ip-range={service_cidr}", f"--tls-cert-file={folder}/apiserver.crt",
            f"--tls-private-key-file={folder}/apiserver.key", f"--client-ca-file={folder}/ca.crt",
            f"--token-auth-file={folder}/tokens.csv", f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={folder}/sa.pub", f"--service-account-signing-key-file={folder}/sa.key",
            "--authorization-mode=AlwaysAllow", "--anonymous-auth=false"]


class RealCluster:
    """What a Lab asks of its cluster, asked of a real control plane on a kernel dataplane.

    Raises ClusterError where a program is missing, or the API server does not become ready: with its last words.
    """

    def __init__(self, kernel: Kernel) -> None:
        if lacking := missing():
            raise ClusterError(f"no real control plane: not on the PATH: {', '.join(lacking)}; this would change it: "
                               f"{HOW}")
        self.nodes, self.service_cidr, self.dns_address = dict(NODES), SERVICE_CIDR, ""
        self._kernel, self._owner, self._account = kernel, secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self.authority = certificates.Authority(datetime.now(UTC))
        self._folder = tempfile.mkdtemp(prefix="k8slab-control-plane-")
        self._let_go = weakref.finalize(kernel, shutil.rmtree, self._folder, ignore_errors=True)
        self._write()
        self._inlet = kernel.outlet()
        kernel.unserve(HOST, API_SERVER_PORT)
        self.client = Remote(f"https://{NODES[HOST]}:{API_SERVER_PORT}", self.authority.pem, self._owner, self._dial)
        self._start()

    def _write(self) -> None:
        names = certificates.server_names(HOST, first_address(self.service_cidr), NODES[HOST])
        server = self.authority.issue(names)
        key = ec.generate_private_key(ec.SECP256R1())
        own = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption())
        public = key.public_key().public_bytes(serialization.Encoding.PEM,
                                               serialization.PublicFormat.SubjectPublicKeyInfo)
        tokens = (f'{self._owner},kubernetes-admin,admin,"system:masters"\n'
                  f"{self._account},system:serviceaccount:default:default,account\n")
        for name, text in {"ca.crt": self.authority.pem, "apiserver.crt": server.pem, "apiserver.key": server.key,
                           "sa.key": own.decode(), "sa.pub": public.decode(), "tokens.csv": tokens}.items():
            with open(os.open(f"{self._folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w",
                      encoding="ascii") as file:
                file.write(text)

    def _start(self) -> None:
        words = {"etcd": etcd_words(self._folder), "kube-apiserver": apiserver_words(self._folder, NODES[HOST])}
        running = {name: self._kernel.holder.ask("spawn", HOST, one, f"{self._folder}/{name}.log")
                   for name, one in words.items()}
        end = time.monotonic() + READY
        while not self.client.ready():
            ended = [name for name, number in running.items() if not self._kernel.holder.ask("runs", number)]
            if ended or time.monotonic() > end:
                said = Path(self._folder, f"{(ended or list(running)[1:])[0]}.log").read_text(errors="replace")
                self.close()
                raise ClusterError(f"{ended[0] if ended else 'kube-apiserver'} "
                                   f"{'has ended' if ended else f'was not ready after {READY:.0f} seconds'}: "
                                   + " ".join(said.splitlines()[-3:]))
            time.sleep(LOOK)

    def _dial(self) -> socket.socket:
        """A connection from the API server's own node."""
        if not self._kernel.holder.ask("dial", HOST, NODES[HOST], API_SERVER_PORT):
            raise ConnectionRefusedError("connection refused")
        _, descriptors, _, _ = socket.recv_fds(self._inlet, 64, 1)
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=descriptors[0])

    def close(self) -> None:
        """End both, and leave nothing."""
        self._kernel.holder.ask("stop_spawned")
        self._inlet.close()
        self._let_go()

    # What a Lab asks.

    def objects(self) -> list[dict]:
        """The Services, EndpointSlices and Nodes, as the API's own JSON."""
        return [obj for kind in (SERVICE, ENDPOINT_SLICE, NODE) for obj in self.client.list(kind)[0]]

    def kubectl(self, command: str | Sequence[str], given: str = "", seconds: float = 0.0) -> Answer:
        """Run a kubectl command against it, the lab's own kubectl; `get -w` is for a real one."""
        words, pipes = piped(command)
        return filtered(kubectl(self.client, words, {"-": given}), pipes)

    def advance(self, seconds: float) -> None:
        """Wait: a real control plane has no other time."""
        time.sleep(seconds)

    def environment(self, pod: str, namespace: str = "default") -> dict[str, str]:
        """What kubelet would write into the environment of a Pod that starts now."""
        return kubelet.environment({"metadata": {"name": pod, "namespace": namespace}, "spec": {"containers": [{}]}},
                                   self.client.list(SERVICE)[0])

    def account_files(self, pod: str, namespace: str = "default") -> dict[str, str]:
        """The files of a service account, by path; its token is one of this lab's."""
        return {f"{FOLDER}/ca.crt": self.authority.pem, f"{FOLDER}/namespace": namespace,
                f"{FOLDER}/token": self._account}


def first_address(service_cidr: str) -> str:
    """The address of the Service `kubernetes`: the first of the Service range.

    >>> first_address("10.96.0.0/16")
    '10.96.0.1'
    """
    import ipaddress

    return str(ipaddress.IPv4Network(service_cidr)[1])


class RealMachines:
    """The lab's nodes with a real control plane behind their rules: each node's kube-proxy follows it.

    `build` makes a kernel dataplane of a network.
    """

    def __init__(self, build: Callable[[Network], Kernel]) -> None:
        self.dataplane = build(cluster_network())
        if not hasattr(self.dataplane, "holder"):
            raise ClusterError("a real control plane needs the real kernel: Lab('kernel', control_plane='real')")
        try:
            self.cluster = RealCluster(self.dataplane)
        except BaseException:
            self.dataplane.close()
            raise
        self._proxiers = {name: Proxier(Config(Node(name, (address,)), pod_cidr(POD_RANGE)))
                          for name, address in NODES.items()}
        self.syncs: dict[str, list[tuple[float, Sync]]] = {name: [] for name in NODES}
        self._seen: list[Mapping] = []
        self.follow()

    def follow(self) -> None:
        """Let each kube-proxy write what the objects say now, where they have changed, and an API server answers."""
        try:
            objects = self.cluster.objects()
        except (ApiError, Refused):
            return
        if objects == self._seen:
            return
        self._seen, known = objects, read_objects(objects)
        for name, proxier in self._proxiers.items():
            wrote = proxier.sync(known, time.time(), full=True)
            if not self.syncs[name]:
                self.dataplane.restore(name, setup(proxier.config), noflush=True)
            self.dataplane.restore(name, wrote.text, noflush=True)
            self.syncs[name].append((time.time(), wrote))

    def serve_tls(self) -> None:
        """The real API server answers for itself."""

    def prepare(self, asked: bytes) -> None:
        """There is no kube-dns to prepare."""
