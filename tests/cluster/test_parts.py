"""Slices of ordinary Services, kubelet's part, certificates, names, and kube-proxy as a client."""

from __future__ import annotations

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from k8slab.cluster import Cluster, ClusterError, in_cluster_config
from k8slab.cluster.certificates import NotVerified, server_names
from k8slab.cluster.kubelet import FOLDER, NotInCluster, account_files, environment, token
from k8slab.cluster.node import new_pod
from k8slab.kubeproxy import read_objects
from tests.cluster.fixtures import FIRST, SECOND, Rules

ENVIRONMENT = """KUBERNETES_SERVICE_HOST=10.96.0.1
KUBERNETES_SERVICE_PORT=443
KUBERNETES_SERVICE_PORT_HTTPS=443
KUBERNETES_PORT=tcp://10.96.0.1:443
KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443
KUBERNETES_PORT_443_TCP_PROTO=tcp
KUBERNETES_PORT_443_TCP_PORT=443
KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1"""


def slices(cluster: Cluster, service: str) -> list[dict]:
    return [one for one in cluster.objects() if one["kind"] == "EndpointSlice"
            and one["metadata"]["labels"]["kubernetes.io/service-name"] == service]


def web(cluster: Cluster, count: int = 1) -> None:
    for number in range(count):
        cluster.add_pod(f"web-{number}", {"app": "web"})
    cluster.kubectl("create service clusterip web --tcp=80:8080")
    cluster.advance(2)


def test_pods_come_and_go_in_a_slice() -> None:
    cluster = Cluster(dns=False)
    web(cluster, 2)
    (one,) = slices(cluster, "web")
    assert [each["targetRef"]["name"] for each in one["endpoints"]] == ["web-0", "web-1"]
    assert {each["nodeName"] for each in one["endpoints"]} == {"worker1"}
    cluster.kubectl("delete pod web-0 --wait=false")
    going = slices(cluster, "web")[0]["endpoints"][0]
    assert going["conditions"] == {"ready": False, "serving": True, "terminating": True}
    cluster.advance(2)
    assert [each["targetRef"]["name"] for each in slices(cluster, "web")[0]["endpoints"]] == ["web-1"]
    cluster.kubectl("delete svc web")
    assert slices(cluster, "web") == []
    assert cluster.kubectl("get endpoints web").status == 1


def test_a_service_without_pods_has_an_empty_slice() -> None:
    cluster = Cluster(dns=False)
    web(cluster, 0)
    assert [(one["endpoints"], one["ports"]) for one in slices(cluster, "web")] == [(None, None)]
    assert "<unset>" in str(cluster.kubectl("get endpointslices"))
    assert "<none>" in str(cluster.kubectl("get endpoints"))


def test_a_hundred_endpoints_fill_a_slice() -> None:
    cluster = Cluster(dns=False)
    web(cluster, 103)
    assert sorted(len(one["endpoints"]) for one in slices(cluster, "web")) == [3, 100]
    assert len(next(iter(read_objects(cluster.objects()).endpoints.values()))) == 1


def test_endpoints_by_hand_are_mirrored_and_the_mirror_follows() -> None:
    cluster = Cluster(dns=False)
    text = ("{apiVersion: v1, kind: Service, metadata: {name: db}, spec: {ports: [{port: 1}]}}\n---\n"
            "{apiVersion: v1, kind: Endpoints, metadata: {name: db}, subsets: [{addresses: [{ip: 10.0.0.5}], "
            "ports: [{port: 5432}]}]}")
    cluster.kubectl("create -f -", stdin=text)
    (one,) = slices(cluster, "db")
    assert one["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"].startswith("endpointslicemirroring")
    assert one["endpoints"] == [{"addresses": ["10.0.0.5"], "conditions": {"ready": True}}]
    cluster.kubectl("delete endpoints db")
    assert slices(cluster, "db") == []


def test_a_pods_environment_is_kubelets() -> None:
    cluster = Cluster(dns=False)
    cluster.add_pod("client")
    assert "\n".join(f"{key}={value}" for key, value in cluster.environment("client").items()) == ENVIRONMENT


def test_whose_services_are_in_the_environment() -> None:
    """Those of the own namespace, if links are on; `kubernetes` of `default` always, unless the own one hides it."""
    def service(namespace: str, name: str, address: str) -> dict:
        return {"metadata": {"name": name, "namespace": namespace},
                "spec": {"clusterIP": address, "ports": [{"port": 1, "protocol": "TCP"}]}}

    def hosts(namespace: str, **spec: object) -> dict[str, str]:
        found = environment(new_pod("a", namespace, {}, "a", **spec), given)
        return {key: value for key, value in found.items() if key.endswith("_HOST")}

    given = [service("x", "kubernetes", "3.3.3.3"), service("default", "kubernetes", "1.1.1.1"),
             service("x", "my-db", "2.2.2.2"), service("y", "kubernetes", "None")]
    assert hosts("default") == {"KUBERNETES_SERVICE_HOST": "1.1.1.1"}
    assert hosts("x") == {"KUBERNETES_SERVICE_HOST": "3.3.3.3", "MY_DB_SERVICE_HOST": "2.2.2.2"}
    assert hosts("x", enableServiceLinks=False) == {"KUBERNETES_SERVICE_HOST": "1.1.1.1"}
    assert hosts("y") == {"KUBERNETES_SERVICE_HOST": "1.1.1.1"}
    own = [{"name": "a", "image": "a", "env": [{"name": "KUBERNETES_SERVICE_HOST", "value": "mine"}]}]
    assert hosts("default", containers=own) == {"KUBERNETES_SERVICE_HOST": "mine"}


def test_what_a_client_library_makes_of_it() -> None:
    cluster = Cluster(dns=False)
    cluster.add_pod("client")
    pod, variables = cluster.pod("client"), cluster.environment("client")
    bearer = token(pod, "https://kubernetes.default.svc.cluster.local", b"k", 0)
    files = account_files(pod, cluster.authority.pem, bearer)
    config = in_cluster_config(variables, files)
    assert (config.host, config.authority_file) == ("https://10.96.0.1:443", f"{FOLDER}/ca.crt")
    assert in_cluster_config(variables, {f"{FOLDER}/token": "t"}).authority_file == ""
    six = in_cluster_config(variables | {"KUBERNETES_SERVICE_HOST": "fd00::1"}, files)
    assert six.host == "https://[fd00::1]:443"
    for missing, where in ((variables | {"KUBERNETES_SERVICE_HOST": ""}, files), (variables, {})):
        with pytest.raises(NotInCluster):
            in_cluster_config(missing, where)


def test_the_certificate_holds_for_the_address_that_nobody_owns() -> None:
    cluster = Cluster(dns=False)
    certificate = cluster.certificate("k8smaster")
    loaded = x509.load_pem_x509_certificate(certificate.pem.encode())
    names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["k8smaster", "kubernetes", "kubernetes.default",
                                                       "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    assert list(map(str, names.get_values_for_type(x509.IPAddress))) == ["10.96.0.1", FIRST]
    loaded.verify_directly_issued_by(x509.load_pem_x509_certificate(cluster.authority.pem.encode()))
    certificate.check("10.96.0.1")
    with pytest.raises(NotVerified, match=f"certificate is valid for 10.96.0.1, {FIRST}, not 10.106.175.140"):
        certificate.check("10.106.175.140")
    assert server_names("a", "10.96.0.1", FIRST, further=["lb.example.com", SECOND])[-4:] == (
        "lb.example.com", "10.96.0.1", FIRST, SECOND)


def test_what_kube_dns_answers() -> None:
    cluster = Cluster()
    assert [str(one) for one in cluster.dns_answer("kubernetes.default.svc.cluster.local.")] == [
        "kubernetes.default.svc.cluster.local. 30 IN A 10.96.0.1"]
    (srv,) = cluster.dns_answer("_https._tcp.kubernetes.default.svc.cluster.local", "SRV")
    assert srv.value == "0 100 443 kubernetes.default.svc.cluster.local."
    (back,) = cluster.dns_answer("1.0.96.10.in-addr.arpa", "PTR")
    assert back.value == "kubernetes.default.svc.cluster.local."
    assert cluster.dns_answer("kubernetes.default.svc.cluster.local", "AAAA") == ()
    assert cluster.dns_answer("default.svc.cluster.local") == ()
    assert cluster.dns_answer("kubernetes.default") is None
    cluster.kubectl("create service clusterip web --clusterip=None --tcp=80")
    cluster.add_pod("web")
    cluster.advance(2)
    address = cluster.pod("web")["status"]["podIP"]
    assert [one.value for one in cluster.dns_answer("web.default.svc.cluster.local")] == [address]


def test_before_its_first_sync_a_node_has_no_rules() -> None:
    cluster = Cluster(dns=False)
    rules = Rules(cluster, first_sync=5)
    cluster.advance(4.9)
    assert rules.text == ""
    cluster.advance(0.1)
    assert len(rules.lines) > 3


@given(st.lists(st.floats(0, 3), max_size=12))
def test_two_syncs_are_never_closer_than_a_second_and_the_last_one_is_right(pauses: list[float]) -> None:
    cluster = Cluster(dns=False, kubelets=False)
    seen: list[list[dict]] = []
    proxy = cluster.kube_proxy("k8smaster", lambda objects, full: seen.append(objects))
    for number, pause in enumerate(pauses):
        cluster.kubectl(f"create service clusterip s{number} --tcp=80")
        cluster.advance(pause)
    cluster.advance(1)
    assert all(later - sooner >= 0.999 for sooner, later in zip(proxy.synced, proxy.synced[1:], strict=False))
    kinds = ("Service", "EndpointSlice", "Node")
    assert seen[-1] == sorted(cluster.objects(), key=lambda one: kinds.index(one["kind"]))


def test_kube_proxy_follows_slices_and_not_endpoints() -> None:
    cluster = Cluster(dns=False)
    rules = Rules(cluster)
    cluster.kubectl("delete endpoints kubernetes")
    cluster.advance(2)
    assert any("-j DNAT" in line for line in rules.text.splitlines())
    paths = {one.path for one in cluster.log if one.client == "kube-proxy-k8smaster"}
    assert paths == {"/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices", "/api/v1/nodes"}


def test_nobody_but_the_api_server_asks_etcd() -> None:
    cluster = Cluster()
    Rules(cluster)
    cluster.kubectl("get svc")
    exchanges = list(cluster.log)
    assert {one.client for one in exchanges if one.server == "etcd"} == {"kube-apiserver-k8smaster"}
    assert {one.server for one in exchanges if one.client.startswith(("kubelet", "kubectl"))} == {
        "kube-apiserver-k8smaster"}
    assert "  kubectl → kube-apiserver-k8smaster  GET /api/v1/namespaces/default/services: 200" in str(cluster.log)
    assert cluster.log.between(0, 1, "kubelet-worker1")


def test_after_an_outage_a_kubelet_renews_its_lease_once() -> None:
    cluster = Cluster(dns=False)
    (server,) = cluster.api_servers.values()
    server.crash()
    cluster.advance(3600)
    server.start()
    cluster.advance(12)
    renewals = [one.at for one in cluster.log if one.client == "kubelet-worker1" and one.verb == "PUT"
                and "/leases/" in one.path and one.at >= 3600]
    assert len(renewals) in (1, 2) and renewals == sorted(set(renewals)), renewals


def test_a_moved_server_takes_its_pod_along_and_its_certificate_names_the_old_address() -> None:
    cluster = Cluster(dns=False)
    certificate = cluster.certificate("k8smaster")
    cluster.api_servers["k8smaster"].move("10.106.175.140")
    cluster.advance(30)
    assert "10.106.175.140" in str(cluster.kubectl("get pods -n kube-system -o wide"))
    assert "10.106.175.140" in str(cluster.kubectl("get nodes -o wide"))
    assert "10.96.0.1 " in str(cluster.kubectl("get svc"))
    with pytest.raises(NotVerified):
        certificate.check("10.106.175.140")


def test_an_address_needs_a_node() -> None:
    with pytest.raises(ClusterError, match="an address needs a node"):
        Cluster(dns=False).add_pod("a", address="10.244.1.9")


def test_two_clusters_of_one_seed_are_alike() -> None:
    one, other = (str(Cluster(seed=7).kubectl("get svc,pods,endpointslices -A -o yaml")) for _ in range(2))
    assert one == other
    assert one != str(Cluster(seed=8).kubectl("get svc,pods,endpointslices -A -o yaml"))
