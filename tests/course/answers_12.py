"""Unit 12's answers, for `answers.py`, and its cells as a learner changes them, for the browser's test."""

from __future__ import annotations

from k8slab.course.units.tablework import FATE_ASKS, KEY, RIGHT_LINES, WEB_ELEMENT, WRONG_LINES
from k8slab.course.units.unit12 import UNIT
from tests.course.answers_form import Answers

FATES = next(one.solution for one in UNIT.exercises if one.key == "nft-fates")
FIRST, SECOND = RIGHT_LINES.splitlines()
TWICE = ", 2 : 10.106.175.129 . 6443, 3 : 10.106.175.128 . 6443 }"

ANSWERS = {
    ("12", "nft-element"): Answers(
        right=(
            WEB_ELEMENT.replace(" 80 ", " http ").replace(" : goto", "   :   jump"),
            f"nft add element ip kube-proxy service-ips {{ {WEB_ELEMENT} }}",
            f"elements = {{ {WEB_ELEMENT} }}",
            f"{WEB_ELEMENT},",
            WEB_ELEMENT.replace(" : ", ' comment "mine, all mine" : '),
            WEB_ELEMENT.replace(" tcp . 80 ", " TCP . 0x50 "),
            WEB_ELEMENT.replace(" tcp . 80 ", " 6 . 80 "),
        ),
        others=(
            (WEB_ELEMENT.replace(" 80 ", " 8080 "), "the Service's port still"),
            (WEB_ELEMENT.replace("tcp .", "udp ."), "The protocol is a part of the key"),
            ("10.96.12.34 . tcp . 80 : goto service-2QRHZV4L-default/kubernetes/tcp/https", "another Service's"),
            ("10.96.12.34 . tcp . 80 : goto shop/web", "there is no chain shop/web"),
            ("10.96.12.34 . tcp . 80", "an element of a map has a verdict"),
            ("10.96.12.34 . tcp . 80 : accept", "Packet 1, from a Pod to 10.96.12.34:80: it was refused, and should"),
            ("10.96.12.34 . tcp . 80 : drop", "it was dropped, and should go to 10.244.1.7:8080"),
            ("10.96.12.34 . 80 . tcp : drop", "`10.96.12.34 . 80 . tcp`: " + KEY),
            ("10.96.12.34.tcp.80 : drop", "`10.96.12.34.tcp.80`: " + KEY),
            ("10.96.12.34 . 80 . 6 : drop", KEY),
            ("10.96.12.34 . ____ . 80 : drop", "still a blank"),
            ("} }", "One element is wanted"),
        ),
    ),
    ("12", "nft-fates"): Answers(
        right=(FATES | {"10.96.12.40:80": "REJECT", "10.96.12.41:80": " Dropped "},
               FATES | {"10.96.12.34:80": "10.244.1.7 . 8080"}),
        others=(
            (FATES | {"10.96.12.40:80": "dropped"}, "vmap @no-endpoint-services"),
            (FATES | {"10.96.12.34:8080": "10.244.1.7:8080"}, "5 of 6 are as you say"),
            (FATES | {"10.244.1.7:8080": "dropped"}, "No rule decided on it: it goes where"),
            (FATES | {"10.244.1.7:8080": ""}, "10.244.1.7:8080: you said nothing."),
            (FATES | {"10.244.1.7:8080": None}, "10.244.1.7:8080: you said nothing."),
            (FATES | {"10.96.12.34:80": "10.244.1.7"}, "An address and a port are wanted."),
            (dict.fromkeys(FATE_ASKS, "refused"), "2 of 6 are as you say"),
            ({"10.96.12.40:80": "dropped"}, "six destinations"),
            (list(FATES.values()), "A dictionary"),
        ),
    ),
    ("12", "safe-range"): Answers(
        right=("172.20.0.0/15", " 10.100.0.0/14", "10.108.0.0/15", "100.64.0.0/15"),
        others=(
            ("10.106.0.0/15", "packet to 10.106.0.1:443 was dropped on worker1"),
            ("10.106.175.0/24", "254 addresses"),
            ("10.96.0.0/16", "10.96.0.0/16 has 65,534 addresses for Services, and 100,000 are wanted"),
            ("10.244.0.0/15", "the range of the Pods"),
            ("10.104.0.0/13", "until a Service gets the address 10.106.175.128 and the port 6443."),
            ("10.0.0.0/8", "takes /12 and smaller"),
            ("8.8.0.0/15", "belong to others"),
            ("127.16.0.0/15", "each host has for itself"),
            ("169.254.0.0/16", "169.254.0.0/16 are addresses of one link, which are not forwarded"),
            ("224.0.0.0/15", "are not addresses for hosts"),
            ("240.0.0.0/15", "are not addresses for hosts"),
            ("10.96.0.1/15", "you mean 10.96.0.0/15?"),
            ("10.96.0", "is no range"),
        ),
    ),
    ("12", "nft-mend"): Answers(
        right=(
            f"{FIRST.replace('10.96.0.1, 10.96.0.10', '10.96.0.10,10.96.0.1')}\n{SECOND}\n",
            f"{FIRST}\n{SECOND.replace('mod 2', 'mod 4').replace(' }', TWICE)}",
        ),
        others=(
            (RIGHT_LINES.replace("mod 2", "mod 3"), "20 went to 10.106.175.129:6443, 20 were refused"),
            (RIGHT_LINES.replace("mod 2", "mod 3"), "A number that leads nowhere leaves the packet untranslated."),
            (WRONG_LINES.replace("mod 3", "mod 2"), "should have the node's source"),
            (WRONG_LINES.replace("mod 3", "mod 2"), "first rule of `services` has marked: it asks `@cluster-ips`."),
            (RIGHT_LINES.replace("{ 10.96.0.1, 10.96.0.10 }", "10.96.0.1"), "elements stand in braces"),
            (RIGHT_LINES.replace("10.96.0.10 }", "10.96.0.10"), "elements = { a, b }"),
            (RIGHT_LINES.replace("10.96.0.1, ", "10.96.0.1 "), "elements are set apart by commas"),
            (RIGHT_LINES.replace("10.96.0.1, 10.96.0.10", "10.96.0.0/28"), "single ones, without `flags interval`"),
            (RIGHT_LINES.replace("10.96.0.10 }", "10.96.0.11 }"), "10.96.0.10:54: it was dropped, and should be"),
            (RIGHT_LINES.replace("1 : 10.106.175.129", "1 : 10.106.175.128"), "60 went to 10.106.175.128:6443"),
            (RIGHT_LINES.replace("numgen", "jhash"), "cannot tell what `dnat ip to jhash"),
            (FIRST, "Two lines are wanted"),
        ),
    ),
}

# Exercise → what stands above the cell's last line, wrong and right.
EDITS = {
    "nft-element": (f'answer = "{WEB_ELEMENT.replace(" 80 ", " 8080 ")}"', f'answer = "{WEB_ELEMENT}"'),
    "nft-fates": (f"answer = {FATES | {'10.96.12.41:80': 'refused'}}", f"answer = {FATES}"),
    "safe-range": ('answer = "10.106.0.0/15"', 'answer = "10.100.0.0/15"'),
    "nft-mend": (f'answer = """{RIGHT_LINES.replace("mod 2", "mod 3")}"""', f'answer = """{RIGHT_LINES}"""'),
}
