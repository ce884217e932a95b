"""The network's drawing: it is tidy, says everything, and lights the way that the packets took."""

from __future__ import annotations

import base64
import dataclasses
import re
import xml.etree.ElementTree as ET
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k8slab.lab import Lab
from k8slab.network import Host, Interface, Link, Network, NetworkError, cluster_network
from k8slab.show import words as w
from k8slab.show.drawing import draw, picture, ways
from k8slab.show.svg import Box, Line, Words
from tests.model.labs import syn
from tests.show.journeys import MAKERS, NETWORK, journey
from tests.show.reading import Reader
from tests.show.tidy import faults

NODES = {"k8smaster": "10.106.175.128", "k8smaster2": "10.106.175.129", "k8smaster3": "10.106.175.130",
         "worker1": "10.106.175.131"}


@st.composite
def networks(draw_: st.DrawFn) -> Network:
    """The lab's network with 1 to 4 nodes and 0 to 6 Pods on each, with names as long as Linux allows."""
    names = draw_(st.lists(st.sampled_from(sorted(NODES)), min_size=1, max_size=4, unique=True))
    pods = {}
    for place in range(len(names)):
        for n in range(draw_(st.integers(0, 6))):
            name = draw_(st.sampled_from(["a", "web", "database"])) + f"{place}{n}"
            pods[name] = f"10.244.{place}.{250 - n}"
    return cluster_network({name: NODES[name] for name in names}, pods)


@settings(max_examples=60, deadline=None)
@given(networks())
def test_any_network_is_drawn_tidily_and_told_in_full(network: Network) -> None:
    drawn = picture(draw(network))
    assert faults(drawn) == []
    said = {s.text for s in drawn.shapes if isinstance(s, Words)}
    twin = str(draw(network))
    for host in network.hosts:
        assert any(host.name in text for text in said) and host.name in twin
        for interface in host.interfaces:
            assert any(interface.name in text for text in said)
            assert all(any(a in text for text in said) for a in interface.addresses)
            assert " ".join((interface.name, *interface.addresses)) in twin
        assert all(f"route {route}\n" in f"{twin}\n" for route in host.routes)
    pods = sum(host.kind == "pod" for host in network.hosts)
    assert len(draw(network).svg) <= (15_000 if pods <= 16 else 20_000)


@pytest.mark.parametrize("name", MAKERS)
def test_a_journey_is_drawn_tidily_at_each_step_and_said_in_words(name: str) -> None:
    trace = journey(name)
    for step in (None, *trace.steps):
        shown = draw(NETWORK, trace, step)
        assert faults(picture(shown)) == []
        assert trace.summary() in str(shown)
        assert len(shown.svg) <= 15_000
        marks = [s.text for s in picture(shown).shapes if isinstance(s, Words) and s.kind == "pill"]
        assert len(marks) == 1 if step else len(marks) <= 1
        if step:
            assert f"on {step.node}: step {step.number} of {len(trace.steps)}, {w.title(step)}" in str(shown)


def test_the_articles_way_is_lit_in_both_directions() -> None:
    shown = draw(NETWORK, journey("article"))
    assert str(shown).splitlines()[1:3] == [
        "The request: client eth0 → veth-client worker1 eth0 → eth0 k8smaster",
        "The reply: k8smaster eth0 → eth0 worker1 veth-client → eth0 client"]
    boxes = {name: box for name, box in zip(("k8smaster", "worker1"), _boxes(shown, "outer"))}
    go, back = (next(s for s in picture(shown).shapes if isinstance(s, Line) and s.kind == kind)
                for kind in ("go", "back"))
    for line, first, last in ((go, "worker1", "k8smaster"), (back, "k8smaster", "worker1")):
        assert _in(line.points[0], boxes[first]) and _in(line.points[-1], boxes[last])
        assert line.heads and len(line.arrows) >= 3
    assert [(x - 6, y - 6) for x, y in back.points] == list(reversed(go.points))


def _boxes(shown, kind: str) -> list[Box]:
    return [s for s in picture(shown).shapes if isinstance(s, Box) and s.kind.startswith(kind)]


def _in(point: tuple[float, float], box: Box) -> bool:
    return box.x <= point[0] <= box.x + box.width and box.y <= point[1] <= box.y + box.height


@pytest.mark.parametrize("name", MAKERS)
def test_the_way_is_what_the_trace_says(name: str) -> None:
    trace = journey(name)
    for way, several in ways(trace).items():
        for stops in several:
            legs = {s.leg for s in trace.steps if w.way(trace, s) == way}
            wires = [[(s.node, s.oif or s.iif) if s.kind == "LEAVE" else (s.node, s.iif) for s in trace.steps
                      if s.leg == leg and s.kind in ("LEAVE", "ARRIVE")] for leg in legs]
            # `lo` is left and come back to: one place.
            assert [stop for stop in stops if stop[1]] in [[one for one, _ in groupby(leg)] for leg in wires]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.sampled_from(["10.96.0.1", "10.244.0.9", "203.0.113.10", "10.244.2.9"]))
def test_a_way_over_several_rows_of_nodes_is_tidy(count: int, dst: str) -> None:
    names = list(NODES)[-count:]
    pods = {f"pod{n}": f"10.244.{n}.9" for n in range(count)}
    network = cluster_network({name: NODES[name] for name in names}, pods)
    trace = Lab("model", network=network).send(syn(dst, src="10.244.0.9"), "pod0")
    shown = draw(network, trace)
    assert faults(picture(shown)) == []
    lit = [s for s in picture(shown).shapes if isinstance(s, Line) and s.kind == "go"]
    assert len(lit) == (0 if dst == "10.244.0.9" else 2), "the way, and the legend"


def test_where_a_packet_ends_is_marked_in_words() -> None:
    for name, mark, host in (("dropped", "dropped here", "worker1"), ("refused", "refused here", "worker1"),
                             ("outside", "dropped here", "router"), ("node", "never leaves", "k8smaster")):
        shapes = picture(draw(NETWORK, journey(name))).shapes
        pill = next(s for s in shapes if isinstance(s, Words) and s.kind == "pill")
        title = next(s for s in shapes if isinstance(s, Words) and s.kind == "name" and s.text.endswith(host))
        assert pill.text == mark and 0 < title.y - pill.y < 25 and abs(pill.x - title.x) < 70
    assert "The packet was dropped here: worker1" in str(draw(NETWORK, journey("dropped")))


def test_a_bridge_is_drawn_and_an_answer_that_goes_by_it_does_not_touch_the_nodes_stack() -> None:
    ports = {"red": "10.244.0.2", "blue": "10.244.0.4"}
    network = cluster_network({"worker1": NODES["worker1"]}, ports | {"green": "10.244.0.3"})
    node = network.host("worker1")
    own = [dataclasses.replace(i, addresses=(), master="br0") if i.name.removeprefix("veth-") in ports else i
           for i in node.interfaces]
    bridge = Interface("br0", ("10.244.0.1/24",), kind="bridge")
    routes = tuple(route for route in node.routes if route.dev not in ("veth-red", "veth-blue"))
    network = network.replace(dataclasses.replace(node, interfaces=(*own, bridge), routes=routes))
    for name, address in ports.items():
        eth0 = dataclasses.replace(network.host(name).interfaces[0], addresses=(f"{address}/24",))
        network = network.replace(dataclasses.replace(network.host(name), interfaces=(eth0,), routes=network.host(
            name).routes[1:]))
    assert faults(picture(draw(network))) == []
    assert any(s.text == "br0 10.244.0.1/24" for s in picture(draw(network)).shapes if isinstance(s, Words))
    trace = Lab("model", network=network).ping("red", "10.244.0.4")
    shown = picture(draw(network, trace))
    assert faults(shown) == [] and trace.reply
    stack = max(x for s in shown.shapes if isinstance(s, Line) and len(s.points) == 2 for x, _ in s.points
                if s.kind not in ("bus", "go", "back") and s.points[0][0] == s.points[1][0])
    rails = {s.points[0][0] for s in shown.shapes if isinstance(s, Line) and s.kind == "bus"
             and s.points[0][0] == s.points[1][0]}
    for kind in ("go", "back"):
        assert max(x for s in shown.shapes if isinstance(s, Line) and s.kind == kind and len(s.points) > 2
                   for x, _ in s.points) <= max(rails) + 3 < stack


def test_too_many_pods_are_counted_and_those_on_the_way_are_kept() -> None:
    pods = {f"p{n}": f"10.244.0.{n + 2}" for n in range(9)}
    network = cluster_network({"worker1": "10.106.175.131"}, pods)
    assert "and 3 more Pods" in draw(network).svg and "Pod p8" not in draw(network).svg
    trace = Lab("model", network=network).send(syn("10.244.0.2", src="10.244.0.10"), "p8")
    assert "and 2 more Pods" in draw(network, trace).svg and "Pod p8" in draw(network, trace).svg
    assert "Pod p8" in str(draw(network))


def test_what_the_form_cannot_hold_is_said() -> None:
    wires = (Interface("eth0", ("10.0.0.1/24",)), Interface("eth1", ("10.9.0.1/24",)))
    one, other = (Host(name, "node", wires) for name in ("a", "b"))
    network = Network((one, other), (Link("lan", (("a", "eth0"), ("b", "eth0"))),
                                     Link("second", (("a", "eth1"), ("b", "eth1")))))
    assert "Also joined, by second: a eth1, b eth1." in draw(network).svg
    assert faults(picture(draw(network))) == []


def test_a_host_or_a_step_that_is_not_there_is_an_error() -> None:
    trace = journey("article")
    with pytest.raises(NetworkError, match="there is no host client"):
        draw(cluster_network(pods={}), trace)
    with pytest.raises(ValueError, match="with the trace that it belongs to"):
        draw(NETWORK, None, trace.steps[0])
    with pytest.raises(ValueError, match="with the trace that it belongs to"):
        draw(NETWORK, trace, journey("ping").steps[0])


def test_the_picture_is_an_image_with_a_name_and_its_twin_below() -> None:
    shown = draw(NETWORK, journey("article"))
    bundle = shown._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"} and bundle["text/plain"] == str(shown) == repr(shown)
    html = Reader(bundle["text/html"])
    tag, attributes = html.elements[0]
    assert tag == "img" and attributes["alt"] == "Network: 2 nodes, 4 Pods, 1 router, 1 client"
    assert set(attributes) == {"alt", "width", "style", "src"}
    assert {tag for tag, _ in html.elements[1:]} == {"details", "summary", "ul", "li"}
    assert html.text == " ".join(["The picture in words", *str(shown).split()])
    data = base64.b64decode(attributes["src"].removeprefix("data:image/svg+xml;base64,")).decode()
    assert data == shown.svg == dataclasses.replace(shown).svg
    root = ET.fromstring(data)
    assert root.attrib["role"] == "img" and root.attrib["aria-label"] == attributes["alt"]
    assert root[0].tag.endswith("title") and root[1].tag.endswith("desc") and root[1].text


def test_both_grounds_have_contrast() -> None:
    svg = draw(NETWORK).svg
    for palette in re.findall(r"\.k-pic\{(--g:#[^}]*)\}", svg):
        colour = {name: _luminance(value) for name, value in re.findall(r"--(\w):(#\w+)", palette)}
        for ink in "id":
            for ground in "gft":
                assert _contrast(colour[ink], colour[ground]) >= 4.5, (palette, ink, ground)
        assert _contrast(colour["o"], colour["a"]) >= 4.5
        for line in "lab":
            assert _contrast(colour[line], colour["f"]) >= 3, (palette, line)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(d * 2 for d in colour[1:])
    parts = [int(digits[i:i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
