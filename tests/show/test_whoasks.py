"""Who asks whom: the picture, its words and the table say what is in the log."""

from __future__ import annotations

import pytest

from k8slab.cluster.cluster import Cluster
from k8slab.lab import Lab
from k8slab.show.grid import Column, Table
from k8slab.show.whoasks import requests_table, who_asks
from tests.show.tidy import faults


@pytest.mark.parametrize("servers", [1, 3])
def test_the_picture_is_tidy_and_says_who_asked(servers: int) -> None:
    lab = Lab("model", cluster=Cluster(servers))
    start = lab.cluster.clock.now
    lab.kubectl("delete svc kubernetes")
    lab.advance(20)
    seen = who_asks(lab.cluster.log.between(start), pods=["client"])
    assert faults(seen.picture) == []
    assert len(seen.servers) == servers
    for name in ("kubectl: 2 requests", "kubelet-worker1:", "kube-proxy-worker1:", "Pod client asks at 10.96.0.1:443"):
        assert name in str(seen) and name.partition(":")[0].split(" asks")[0] in seen.svg
    assert "etcd is asked by nobody else" in str(seen)
    told = sum(seen.told.values()) + sum(seen.asked.values()) + sum(seen.kept.values())
    assert told == len(lab.cluster.log.between(start))


def test_kube_proxy_hears_of_slices_and_asks_for_no_endpoints() -> None:
    lab = Lab("model", cluster=True)
    paths = {one.path for one in lab.cluster.log if one.client == "kube-proxy-worker1"}
    assert paths == {"/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices", "/api/v1/nodes"}


def test_the_table_is_cut_where_it_would_be_too_long() -> None:
    log = list(Cluster().log)
    assert f"… and {len(log) - 5} more" in str(requests_table(log, 5)) and "more" not in str(requests_table(log[:5], 5))
    with pytest.raises(ValueError, match="lab.advance"):
        who_asks([])


def test_a_path_may_break_before_a_slash_and_a_mask_may_not() -> None:
    html = Table("Log", (Column("What", code=True),), (("GET /api/v1/nodes: 200",), ("-d 10.96.0.1/32 -j DNAT",))).html
    assert "GET /api<wbr>/v1<wbr>/nodes: 200<" in html and "10.96.0.1/32" in html
