"""12 The same promise, other machinery."""

from __future__ import annotations

from k8slab.course.exercise import Exercise
from k8slab.course.question import Prediction, Question, Quiz
from k8slab.course.unit import Content
from k8slab.course.units.tablework import (
    FATE_ASKS,
    RIGHT_LINES,
    WEB_ELEMENT,
    WRONG_LINES,
    element,
    fates,
    safe_range,
    two_lines,
)

UNIT = Content(
    "12",
    "The same promise, other machinery",
    warm_up=(("08", "per"), ("06", "hash")),
    predictions=(
        Prediction(
            "nft-rules",
            "iptables mode: how many rules does that packet read on its node, until it leaves?",
            ("15", "114", "1,014"),
        ),
        Prediction(
            "nft-lookups",
            "nftables mode: how many rules and look-ups, taken together?",
            ("21", "210", "1,014"),
        ),
        Prediction(
            "nft-port",
            "A Pod asks 10.96.0.1 for port 444, which no Service has. What does it hear in each mode?",
            (
                "nothing in iptables mode, nothing in nftables mode",
                "nothing in iptables mode, a refusal in nftables mode",
                "a refusal in iptables mode, a refusal in nftables mode",
            ),
        ),
        Prediction(
            "nft-wide",
            "The Service range is 10.96.0.0/12, and no Service has the address 10.106.175.128. A Pod on worker1 asks "
            "10.96.0.1:443. What becomes of it?",
            (
                "answered in iptables mode, answered in nftables mode",
                "answered in iptables mode, dropped in nftables mode",
                "dropped in iptables mode, dropped in nftables mode",
            ),
        ),
        Prediction(
            "nft-second",
            "A second Service, shop/web, is given the ClusterIP 10.106.175.128 and has the port 6443; its endpoint is "
            "the Pod web. iptables mode: where does a packet of the Pod client to 10.96.0.1:443 arrive?",
            ("10.106.175.128:6443", "10.244.1.7:8080", "nowhere"),
        ),
    ),
    exercises=(
        Exercise(
            "nft-element",
            "Write the element of the map service-ips for the Service shop/web: 10.96.12.34, port 80, TCP.",
            "10.96.12.34 . ____ . ____ : goto ____",
            element,
            hints=(
                "Which three fields of a packet does the rule with `vmap @service-ips` put together, in which order?",
                "The packet is still as the Pod sent it: protocol and port are the Service's. The verdict names a "
                "chain of this table.",
                "`10.96.12.34 . tcp . 80 : goto service-KHN6ECMT-…`, with the rest of the chain's name.",
            ),
            solution=WEB_ELEMENT,
            why="The key is what the packet has before anything is rewritten: destination, protocol, port. The verdict "
            "leads to the chain whose rule chooses an endpoint.",
        ),
        Exercise(
            "nft-fates",
            "Say where each packet of the Pod client ends: an address and port, `refused` or `dropped`.",
            dict.fromkeys(FATE_ASKS, ""),
            fates,
            hints=(
                "Ask two things of each packet: is its destination, protocol and port a key of `service-ips` or of "
                "`no-endpoint-services`? If not, is its address in `cluster-ips`, or in the Service range?",
                "`no-endpoint-services` leads to `reject-chain`; an address of `cluster-ips` with another port is "
                "refused; an address of the range that no Service has is dropped.",
                "A Pod's own address is in no map and in no set here: nothing rewrites or stops such a packet. And "
                "10.106.175.128 lies outside 10.96.0.0/16.",
            ),
            solution={
                "10.96.12.34:80": "10.244.1.7:8080",
                "10.96.12.34:8080": "refused",
                "10.96.12.40:80": "refused",
                "10.96.12.41:80": "dropped",
                "10.244.1.7:8080": "10.244.1.7:8080",
                "10.96.0.1:443": "10.106.175.128:6443",
            },
            why="`service-ips` translates two of them; `no-endpoint-services` refuses the third; what is left is "
            "decided by its address alone: refused in `cluster-ips`, dropped in the rest of the range, and let alone "
            "elsewhere.",
        ),
        Exercise(
            "safe-range",
            "Choose a Service range for this cluster, with room for 100,000 Services, in which the API server's "
            "endpoint is safe in both modes.",
            "10.96.0.0/12",
            safe_range,
            hints=(
                "What must a Service range not hold, if a rule drops what goes to its unused addresses?",
                "It must not hold 10.106.175.128, nor the Pods' range 10.244.0.0/16, nor any address that somebody "
                "else has; a /15 has room for 131,070 Services.",
                "10.96.0.0/12 reaches from 10.96.0.0 to 10.111.255.255. It is made of eight /15, which begin at 10.96, "
                "10.98, … 10.110. One of them holds 10.106.",
            ),
            solution="10.96.0.0/15",
            why="10.96.0.0/15 ends at 10.97.255.255: the endpoint lies outside, so that neither the rule for "
            "unallocated addresses nor the allocator can touch it.",
        ),
        Exercise(
            "nft-mend",
            "A home-made program wrote these two lines of a table for two API servers and kube-dns. "
            "Mend them.",
            WRONG_LINES,
            two_lines,
            hints=(
                "`numgen random mod N` draws a number from 0 to N - 1. Is there an endpoint for each?",
                "Who comes from outside is masqueraded by a rule that asks for a set: which ClusterIPs are in it?",
                "As many numbers as endpoints; and the set is of all ClusterIPs, also the API server's.",
            ),
            solution=RIGHT_LINES,
            why="With `mod 3` and two endpoints a third of the connections finds no element and is not translated. "
            "Without its ClusterIP in `cluster-ips` a Service is neither masqueraded nor refused at a wrong port.",
        ),
    ),
    quiz=Quiz(
        "Five questions",
        (
            Question(
                "nft-map",
                "Why does a packet's work in nftables mode not grow with the number of Services?",
                "Address, protocol and port are looked up in a hash table.",
                {
                    "nftables reads rules faster than iptables.": "Both read rules one by one, in the same kernel; "
                    "here there are few to read.",
                    "Address, protocol and port are looked up in a hash table.": "One rule asks one map. More Services "
                    "are more elements, not more rules on the way.",
                    "Each Service has a chain of its own.": "So it has in iptables mode. The question is how a packet "
                    "finds the right one.",
                },
            ),
            Question(
                "nft-numgen",
                "Why does kube-proxy compute no probabilities in nftables mode?",
                "One number is drawn, and all endpoints are in one map.",
                {
                    "One number is drawn, and all endpoints are in one map.": "Each number from 0 to N - 1 is as "
                    "likely as the others. No rule is read after another one has passed the packet over.",
                    "It takes endpoints in turn.": "`numgen inc` would; what kube-proxy writes is `numgen random`.",
                    "nftables works the probabilities out itself.": "There are none: `1/n, 1/(n-1), …` was needed "
                    "since rules were read one after the other.",
                },
            ),
            Question(
                "nft-after",
                "Whose address does the rule Drop traffic to unallocated ClusterIPs look at?",
                "the endpoint's, for a packet that was translated",
                {
                    "the ClusterIP that the Pod asked for": "The chain hangs on forward and output with priority 0, "
                    "after the translation.",
                    "the endpoint's, for a packet that was translated": "It reads the packet as it is by then. So an "
                    "endpoint inside the Service range is dropped, too.",
                    "the source's": "It says ip daddr.",
                },
            ),
            Question(
                "nft-once",
                "How often does a new connection ask the nat rules for a destination?",
                "once on each node that it passes",
                {
                    "once": "Each node has its own conntrack, and for the second node the connection is new.",
                    "once on each node that it passes": "That is how a second Service with the API server's address "
                    "could take what the first had translated.",
                    "at each packet": "Later packets are rewritten as the entry says.",
                },
            ),
            Question(
                "nft-default",
                "Which mode does kube-proxy 1.36 use on Linux when nobody chooses?",
                "iptables",
                {
                    "iptables": "nftables has been generally available since 1.33, but one must ask for it.",
                    "nftables": "Not by default: `mode: nftables` in its configuration, or `--proxy-mode=nftables`.",
                    "ipvs": "It has been deprecated since 1.35.",
                },
            ),
        ),
    ),
)
