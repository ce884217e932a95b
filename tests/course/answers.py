"""Answers to every exercise: right ones, each mistake that was foreseen, and two that were not.

(unit, key) → `right`: answers that pass, beside the exercise's own solution; `foreseen`: one answer for each Fault, in
their order; `others`: answers that nobody foresaw, and words of what is said to them. An exercise whose answer is a
lab takes commands for worker1 here; one whose answer is a packet, its fields.
"""

from __future__ import annotations

from fractions import Fraction

from k8slab.course.units.labs import ROUTED, TRANSLATE
from k8slab.course.units.unit01 import STATIONS as OUTWARD
from k8slab.course.units.unit02 import filled
from k8slab.course.units.unit05 import STATIONS as HOMEWARD
from k8slab.course.units.unit06 import STATIONS as TO_DNS
from k8slab.kubeproxy.names import service_chain
from tests.course import answers_10, answers_11, answers_12, answers_13
from tests.course.answers_form import Answers

WIDE = "iptables -t nat -A {} -d 10.96.0.1 -j DNAT --to-destination 10.106.175.128:6443"
NARROW = f"iptables -t nat -A {{}} {TRANSLATE}"
BOTH = f"{NARROW.format('PREROUTING')}\n{NARROW.format('OUTPUT')}"
PORTLESS = "iptables -t nat -A PREROUTING -d 10.96.0.1 -p tcp --dport 443 -j DNAT --to-destination 10.106.175.128"
NEW, LEAVE, ON, DNAT = (
    "-t nat -N SVC",
    "-t nat -A PREROUTING -s 10.244.1.7 -j RETURN",
    "-t nat -A PREROUTING -d 10.96.0.1 -p tcp --dport 443 -j SVC",
    "-t nat -A SVC -p tcp -j DNAT --to-destination 10.106.175.128:6443",
)
SYN_ACK = {"src": "10.106.175.128", "dst": "10.244.1.5", "sport": 6443, "dport": 50000, "flags": "SA"}

GREEN = ROUTED.format(pod="green", n=4).replace("10.244.1.", "10.244.0.")
TO_RED, TO_BLUE = "ip -n red route add default via 10.244.1.1", "ip route add 10.244.1.3 dev veth-blue"


def without(text: str, words: str) -> str:
    """A text of commands without those that hold these words."""
    return "\n".join(line for line in text.splitlines() if words not in line)


def named(namespace: str, service: str, port: str, protocol: str) -> str:
    """Another way to say the same as the solution of `names`."""
    return service_chain(f"{namespace}/{service}:{port}", protocol)


ANSWERS: dict[tuple[str, str], Answers] = {
    ("00", "range"): Answers(
        right=(" 10.43.0.1 ",),
        foreseen=("10.96.0.1", "10.43.0.0"),
        others=(("10.43.0.10", "what came back was"), ("ten dot one", "no IPv4 address")),
    ),
    ("01", "stations"): Answers(
        others=((list(reversed(OUTWARD)), "The first 0 of 6"), (list(OUTWARD)[:3], "each of the stations once"))
    ),
    ("01", "cut"): Answers(
        right=(
            "iptables -t nat -F KUBE-SEP-VDNPK4CXOQDGPWFC",
            "iptables -t nat -D KUBE-SERVICES 1",
            "iptables -t nat -I KUBE-SERVICES -d 10.96.0.1 -j RETURN",
        ),
        foreseen=(
            "iptables -A FORWARD -d 10.96.0.1 -j DROP",
            "iptables -P FORWARD DROP",
            "iptables -I FORWARD -d 10.106.175.128 -j DROP",
        ),
        others=(
            ("iptables -t nat -F KUBE-SVC-X", "refuses command 1"),
            ("iptables -t nat -A KUBE-SERVICES -j RETURN", "It met worker1"),
        ),
    ),
    ("03", "two-faults"): Answers(
        right=(
            f"{TO_RED}\n{TO_BLUE}",
            "ip -n red route add 10.0.0.0/8 via 10.244.1.1\nip route add 10.244.1.0/24 dev veth-blue",
            f"{TO_RED}\nip netns del blue\n{ROUTED.format(pod='blue', n=3)}\nserve blue",
        ),
        foreseen=(f"ip -n red route add default dev eth0\n{TO_BLUE}", TO_RED, TO_BLUE),
        others=(
            ("ip link set veth-red down", "Network is unreachable"),
            (f"{TO_RED}\n{TO_BLUE}\niptables -A FORWARD -s 10.244.1.3 -j DROP", "filter FORWARD says DROP"),
        ),
    ),
    ("03", "third"): Answers(
        right=(
            GREEN.replace("veth-green", "vg").replace("10.244.0.4/32", "10.244.0.4/24"),
            "ip netns add green\nip link add vg type veth peer name eth0 netns green\nip link set vg up\n"
            "ip route add 10.244.0.4 dev vg\nip -n green address add 10.244.0.4 dev eth0\n"
            "ip -n green link set eth0 up\n"
            "ip address add 169.254.1.1/32 dev vg\nip -n green route add 169.254.1.1 dev eth0\n"
            "ip -n green route add default via 169.254.1.1",
        ),
        foreseen=(
            GREEN.replace("via 10.244.0.1", "dev eth0"),
            without(GREEN, "route add default"),
            without(GREEN, "ip route add 10.244.0.4"),
        ),
        others=(
            (without(GREEN, "green link set eth0 up"), "refuses command"),
            (GREEN.replace("green", "black"), "there is no host green"),
            ("ip netns add green\nip netns exec green touch here", "refuses command 2"),
            (GREEN.replace("10.244.0.4", "10.244.0.5"), "10.244.0.4:8080"),
            (f"{GREEN}\nsysctl -w net.ipv4.ip_forward=0", "ip_forward is 0"),
        ),
    ),
    ("04", "first"): Answers(
        right=("iptables -t nat -I PREROUTING -p tcp -d 10.96.0.1/32 --dport 443 -j DNAT --to 10.106.175.128:6443",),
        foreseen=(PORTLESS, WIDE.format("PREROUTING").replace("-j", "-p tcp -j"), NARROW.format("OUTPUT")),
        others=(
            (NARROW.format("PREROUTING").replace("443", "444"), "destination port is 443, the rule wants 444"),
            (NARROW.format("PREROUTING").replace("nat", "____"), "There is still a blank"),
        ),
    ),
    ("04", "six"): Answers(
        right=(
            BOTH.replace("-A", "-I"),
            "iptables -t nat -N S\n"
            + BOTH.replace(TRANSLATE, "-d 10.96.0.1 -p tcp --dport 443 -j S")
            + "\niptables -t nat -A S -p tcp -j DNAT --to-destination 10.106.175.128:6443",
        ),
        foreseen=(
            BOTH.replace(":6443", ""),
            WIDE.replace("-j", "-p tcp -j").format("PREROUTING"),
            NARROW.format("PREROUTING"),
            NARROW.format("OUTPUT"),
            NARROW.format("POSTROUTING").replace("DNAT --to-destination 10.106.175.128:6443", "ACCEPT"),
        ),
        others=(
            (NARROW.format("POSTROUTING"), "refuses command 1"),
            (BOTH.replace("10.106.175.128", "10.106.175.131"), "should be 10.106.175.128:6443"),
        ),
    ),
    ("04", "order"): Answers(
        right=([NEW, DNAT, LEAVE, ON], [LEAVE, NEW, ON, DNAT]),
        foreseen=([NEW, ON, LEAVE, DNAT],),
        others=(([ON, NEW, LEAVE, DNAT], "does not take this answer"), ([NEW, LEAVE], "each of the rules once")),
    ),
    ("04", "mend"): Answers(
        right=(
            f"iptables -t nat -I PREROUTING {TRANSLATE}",
            "iptables -t nat -D PREROUTING -d 10.96.0.0/16 -j ACCEPT",
            "iptables -t nat -R PREROUTING 1 -d 10.96.0.1 -p tcp --dport 443 -j DNAT --to-destination "
            "10.106.175.128:6443",
        ),
        foreseen=(
            "iptables -t nat -I PREROUTING -p tcp -j DNAT --to-destination 10.106.175.128:6443",
            NARROW.format("PREROUTING"),
        ),
        others=(
            ("iptables -t nat -F PREROUTING", "1 of 3 packets go"),
            (
                "iptables -t nat -I PREROUTING -d 10.96.0.1 -p tcp --dport 443 -j DNAT --to-destination "
                "10.106.175.131:6443",
                "should be 10.106.175.128:6443",
            ),
        ),
    ),
    ("05", "way-home"): Answers(
        others=((list(reversed(HOMEWARD)), "The first 0 of 6"), ("PREROUTING", "each of the stations once"))
    ),
    ("05", "forge"): Answers(
        right=(SYN_ACK | {"ttl": 10},),
        foreseen=(
            SYN_ACK | {"src": "10.96.0.1", "sport": 443},
            SYN_ACK | {"sport": 443},
            SYN_ACK | {"dport": 443},
            SYN_ACK | {"flags": "S"},
        ),
        others=(
            (SYN_ACK | {"src": "10.106.175.131"}, "it was sent from 10.106.175.131:6443"),
            (SYN_ACK | {"sport": 6444}, "it was sent from 10.106.175.128:6444"),
        ),
    ),
    ("06", "names"): Answers(
        right=(named,),
        others=(
            (lambda n, s, p, proto: named(n, s, p, proto.upper()), "the protocol goes in with small letters"),
            (lambda n, s, p, proto: service_chain(f"{n}/{s}", proto), "the port's name is missing"),
            (lambda n, s, p, proto: named(n, s, p, ""), "the protocol is missing"),
            (lambda n, s, p, proto: named(n, s, p, proto)[9:], "the prefix `KUBE-SVC-` is missing"),
            (lambda n, s, p, proto: named(n, s, p, proto) + "A", "it has 26 characters"),
            (lambda n, s, p, proto: 1 / 0, "raised ZeroDivisionError"),
            (lambda n: n, "raised TypeError"),
            (lambda n, s, p, proto: 7, "gave 7"),
            ("KUBE-SVC-NPX46M4PTMTKRN6Y", "A function is wanted"),
        ),
    ),
    ("06", "dns-way"): Answers(
        others=((list(reversed(TO_DNS)), "The first"), (list(TO_DNS)[:2], "each of the stations once"))
    ),
    ("07", "mask"): Answers(
        right=(
            "iptables -t nat -I KUBE-SERVICES -s 10.244.1.7 -d 10.96.0.1 -j KUBE-MARK-MASQ",
            "iptables -t mangle -A PREROUTING -s 10.244.1.7 -d 10.96.0.1 -j MARK --set-mark 1\n"
            "iptables -t nat -I POSTROUTING -m mark --mark 1 -j MASQUERADE",
            "iptables -t nat -I POSTROUTING -s 10.244.1.7 -m conntrack --ctorigdst 10.96.0.1 -j MASQUERADE",
        ),
        foreseen=(
            "iptables -t nat -I POSTROUTING -s 10.244.1.7 -d 10.106.175.128 -j MASQUERADE",
            "iptables -t nat -I KUBE-SVC-NPX46M4PTMTKRN6Y -j KUBE-MARK-MASQ",
            "iptables -t nat -I POSTROUTING -s 10.244.1.7 -d 10.96.0.1 -j MASQUERADE",
        ),
        others=(
            ("iptables -t nat -I PREROUTING -s 10.244.1.7 -j MASQUERADE", "refuses command 1"),
            (
                "iptables -t nat -I KUBE-SVC-NPX46M4PTMTKRN6Y -s 10.244.1.8 -j KUBE-MARK-MASQ",
                "should be 10.106.175.131",
            ),
        ),
    ),
    ("07", "hairpin"): Answers(
        right=(
            "iptables -t nat -I KUBE-SERVICES -s 10.244.1.7 -d 10.96.12.34 -j KUBE-MARK-MASQ",
            "iptables -t nat -I POSTROUTING -s 10.244.1.7 -d 10.244.1.7 -j MASQUERADE",
        ),
        foreseen=(
            "iptables -t nat -I KUBE-SEP-UGQTAJUJOQJVZIEC -j KUBE-MARK-MASQ",
            "iptables -t nat -A KUBE-SEP-UGQTAJUJOQJVZIEC -s 10.244.1.7 -j KUBE-MARK-MASQ",
        ),
        others=(
            ("iptables -t nat -F KUBE-SERVICES", "blackhole 10.96.0.0/16"),
            ("iptables -I FORWARD -d 10.244.1.7 -j DROP", "-j DROP"),
        ),
    ),
    ("02", "door"): Answers(
        right=(filled("door", "https", "6443", "10.106.175.128").replace("door-1", "any-name"),),
        foreseen=(
            filled("door", "http", "6443", "10.106.175.128"),
            filled("door", "https", "443", "10.96.0.1"),
            filled("door", "https", "443", "10.106.175.128"),
        ),
        others=(
            (filled("door", "https", "6443", "10.106.175.9"), "nobody on eth0 answers the ARP question"),
            (filled("door", "https", "6443", "apiserver"), "must be a valid IPv4 address"),
            (filled("door", "https", "6443"), "still a blank"),
            ("kind: [", "kubectl refuses it: error: error parsing STDIN"),
            (["door"], "A text for kubectl apply is wanted"),
        ),
    ),
    ("02", "local"): Answers(
        right=(
            "kubectl delete svc kubernetes -n default",
            """kubectl patch svc kubernetes --type merge -p '{"spec": {"internalTrafficPolicy": null}}'""",
        ),
        others=(
            ("iptables -F KUBE-SERVICES", "blackhole 10.96.0.0/16"),
            ("kubectl delete svc kubernetes\niptables -I FORWARD -p tcp -j DROP", "-j DROP"),
        ),
    ),
    ("08", "fair"): Answers(
        right=((0.25, 0.33333333, 0.5), [Fraction(1, 4), Fraction(1, 3), Fraction(1, 2)]),
        others=(
            ([0.25, 0.25, 0.25], "a quarter of all to them"),
            ([0.5, 0.5, 0.5], "half of what has come"),
            ([0.25, 0.33, 0.5], "1 of 4 servers"),
            ([0.25], "Three probabilities"),
            ([0.25, 1.5, 0.5], "from 0 to 1"),
            ("1/4", "A list of numbers"),
        ),
    ),
    ("08", "dead"): Answers(
        right=(
            "iptables -t nat -D KUBE-SVC-NPX46M4PTMTKRN6Y 4\niptables -t nat -D KUBE-SVC-NPX46M4PTMTKRN6Y 2\n"
            "iptables -t nat -A KUBE-SVC-NPX46M4PTMTKRN6Y -j KUBE-SEP-VDNPK4CXOQDGPWFC",
        ),
        others=(
            ("iptables -t nat -D KUBE-SVC-NPX46M4PTMTKRN6Y 4", "find no rule any more"),
            (
                "iptables -t nat -R KUBE-SVC-NPX46M4PTMTKRN6Y 4 -j KUBE-SEP-WH6WG5QKJ22KECSU",
                "10.106.175.129 gets 0.667",
            ),
            (
                "iptables -t nat -R KUBE-SVC-NPX46M4PTMTKRN6Y 3 -m statistic --mode random --probability 0.6 -j "
                "KUBE-SEP-WH6WG5QKJ22KECSU",
                "10.106.175.130 does not answer",
            ),
        ),
    ),
    ("05", "stale"): Answers(
        right=("conntrack -F", "conntrack -D -s 10.244.1.5", "conntrack -D -r 10.244.0.2"),
        foreseen=("iptables -t nat -I PREROUTING -d 10.96.0.10 -p udp -j DNAT --to-destination 10.244.0.3:53",),
        others=(
            ("conntrack -F\niptables -I FORWARD -p udp -j DROP", "-j DROP"),
            ("iptables -t nat -F KUBE-SERVICES\nconntrack -F", "its destination in the end was"),
        ),
    ),
    ("09", "listed"): Answers(
        right=({1: ["10.106.175.128", "10.106.175.130"], 16: (130, 128), 20: {128}},),
        others=(
            ({1: [128, 129, 130], 16: [128, 130], 20: [128]}, "Who is stopped takes its own address out"),
            ({1: [128], 16: [128], 20: [128]}, "1 of 3 moments"),
            ({1: [128, 130], 16: [128], 20: [128]}, "who has looked since?"),
            ({1: [128, 130], 16: [128, 130], 20: [128, 130]}, "k8smaster has made a round since"),
            ({1: [128]}, "A list for each moment"),
            ("128", "A list for each moment"),
        ),
    ),
    ("09", "alive"): Answers(
        right=(
            lambda renewed, now: {one for one in renewed if renewed[one] > now - 15},
            lambda renewed, now: tuple(one for one, at in renewed.items() if at + 15 >= now),
        ),
        others=(
            (lambda renewed, now: list(renewed), "10.106.175.130 renewed its lease 17.5 seconds before"),
            (lambda renewed, now: [one for one in renewed if now - renewed[one] < 10], "renewed its lease 10 seconds"),
            (lambda renewed, now: [one for one in renewed if now - renewed[one] < 25], "the server wrote"),
            (lambda renewed, now: [max(renewed, key=renewed.get)], "0 of 22 rounds"),
            (lambda renewed, now: 1 / 0, "raised ZeroDivisionError"),
            (lambda renewed: [], "raised TypeError"),
            (lambda renewed, now: 3, "a list of addresses is wanted"),
            ([128], "A function is wanted"),
        ),
    ),
    ("09", "taken"): Answers(
        right=(
            "kubectl delete svc web",
            "kubectl delete svc web\nkubectl create service clusterip web --tcp=443:8080",
            "kubectl delete svc --all -n default",
        ),
        foreseen=("kubectl delete endpoints web\niptables -t nat -A KUBE-SERVICES -j RETURN",),
        others=(
            ("kubectl delete pod web", "has no endpoints"),
            (
                "kubectl delete svc web\n"
                "kubectl create service clusterip kubernetes --clusterip=10.96.0.1 --tcp=443:6443",
                "Leave the making to it",
            ),
            (
                "iptables -t nat -I PREROUTING -d 10.96.0.1 -p tcp --dport 443 -j DNAT --to-destination "
                "10.106.175.128:6443",
                "still there is no Service kubernetes",
            ),
        ),
    ),
}
ANSWERS |= answers_10.ANSWERS | answers_11.ANSWERS | answers_12.ANSWERS | answers_13.ANSWERS
