"""Answers to unit 10, whose exercises are functions: as their text, or as functions that stand in no file of a cell."""

from __future__ import annotations

from k8slab.course.units.ownparts import PARTS
from tests.course.answers_form import Answers


def altered(name: str, *pairs: str) -> str:
    """A part's solution with something else in it: `old`, `new`, `old`, `new`."""
    text = PARTS[name].solution
    for old, new in zip(pairs[::2], pairs[1::2]):
        assert old in text, old
        text = text.replace(old, new)
    return text


def filled(name: str, blank: str) -> str:
    """A part as the notebook has it, with its blank filled."""
    return PARTS[name].blank.replace("____", blank)


BY_YIELD = '''
def endpoint_rules(name, protocol, end):
    words = f"-A {chain('KUBE-SEP-', name + protocol + end)} -m comment --comment {name}"
    yield f"{words} -s {end.split(':')[0]}/32 -j KUBE-MARK-MASQ"
    yield f"{words} -p {protocol} -m {protocol} -j DNAT --to-destination {end}"
'''
FROM_THE_END = '''
def balance_rules(name, protocol, ends):
    def rule(left, end):
        chance = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
        return (f'-A {chain("KUBE-SVC-", name + protocol)} -m comment --comment "{name} -> {end}" {chance}'
                f'-j {chain("KUBE-SEP-", name + protocol + end)}')
    return tuple(map(rule, range(len(ends), 0, -1), ends))
'''
SLICE_BY_NUMBER = altered("endpoints", "own.get(\"name\", \"\") == port.get(\"name\", \"\")",
                          "own[\"port\"] == port[\"targetPort\"]")
ONE_SLICE = altered("endpoints", "    return sorted(found)",
                    "        if found:\n            return sorted(found)\n    return sorted(found)")
READY = 'end.get("conditions", {}).get("ready") is not False'
NAMED = 'own.get("name", "") == port.get("name", "")'
WAY_IN, BALANCE = "way_in(name, protocol, address, number)", "balance_rules(name, protocol, ends)"

ANSWERS: dict[tuple[str, str], Answers] = {
    ("10", "digest"): Answers(
        right=(filled("chain", "-40"),),
        others=(
            (filled("chain", "52"), "iptables allows 28 characters"),
            (filled("chain", "15"), "The packets cannot tell"),
            (filled("chain", "15"), "wanted: `-A KUBE-"),
            (lambda prefix: prefix, "With `chain` it came to TypeError"),
            (PARTS["chain"].blank.replace("prefix +", "'x' + prefix +"), "There is still a blank"),
            ("def chain(prefix, text):\n    prefix + text", "gave None; the name of a chain is wanted. Is there a `r"),
            ("def chain(prefix, text):\n    return 7", "gave 7; the name of a chain"),
            ("def chain(prefix, text)\n    return 7", "cannot be read"),
            ("x = 1", "defines no function `chain`"),
            (16, "A function is wanted: `chain(prefix, text)`"),
        ),
    ),
    ("10", "endpoint"): Answers(
        right=(BY_YIELD, filled("endpoint_rules", "DNAT --to-destination {address}:{end.split(':')[1]}").replace(
            "split(':')", "split(chr(58))")),
        foreseen=(filled("endpoint_rules", "DNAT --to-destination {address}"),),
        others=(
            (filled("endpoint_rules", "DNAT"), "iptables refuses line"),
            (filled("endpoint_rules", "ACCEPT"), "its destination in the end was 10.96.0.1:443"),
            (altered("endpoint_rules", "KUBE-MARK-MASQ", "RETURN"), "packets go where they should"),
            (altered("endpoint_rules", "-m comment --comment {name}", ""), "wanted: `-A KUBE-SEP-"),
            (altered("endpoint_rules", "return [", "return 5 if name else ["), "gave 5; a list of rules is wanted"),
        ),
    ),
    ("10", "balance"): Answers(
        right=(FROM_THE_END, filled("balance_rules", "1 / len(ends[at:])")),
        others=(
            (filled("balance_rules", "1 / len(ends)"), "what is a third of all to it"),
            (filled("balance_rules", "0.5"), "which part of them is the first server's"),
            (filled("balance_rules", "1 / (len(ends) - at - 1)"), "which part of them is the first server's"),
            (filled("balance_rules", "1 / at"), "raised ZeroDivisionError: division by zero, in line 6"),
            (altered("balance_rules", ":.10f", ":.3f"), "ten digits"),
        ),
    ),
    ("10", "headless"): Answers(
        right=(lambda service: "." in service["spec"].get("clusterIP", ""),
               'def served(service):\n    return service["spec"].get("clusterIP", "None") != "None"\n',
               'def served(service):\n    ip = service["spec"].get("clusterIP")\n    return ip and ip != "None"\n'),
        foreseen=('def served(service):\n    spec = service["spec"]\n'
                  '    return spec["type"] == "ClusterIP" and spec["clusterIP"] != "None"\n',),
        others=(
            ('def served(service):\n    service["spec"].get("clusterIP")\n', "is wanted. Is there a `return`?"),
            (lambda service: True, "`served` gives True for the Service shop/outside"),
            ('def served(service):\n    return bool(service["spec"].get("clusterIP"))\n', "is the word None"),
            ('def served(service):\n    return service["spec"]["clusterIP"] != "None"\n',
             "raised KeyError: 'clusterIP', in line 2 of the cell of `served`: `return service["),
            (lambda service: False, "packets go where they should"),
        ),
    ),
    ("10", "ready"): Answers(
        right=(altered("endpoints", "if not same or", "if not same:\n            continue\n        if False or"),),
        others=(
            (altered("endpoints", " is not False", " in (True, False)"), "0.333 go to 10.106.175.129, which is not r"),
            (altered("endpoints", "return sorted(found)", "return sorted(found, key=lambda one: tuple(map(int, "
                     "one.split(':')[0].split('.'))))"), "sorted as texts"),
            (altered("endpoints", "sorted(found)", "sorted(found, reverse=True)"), "sorted as texts"),
            (ONE_SLICE, "A Service may have several slices"),
            (altered("endpoints", READY, f'({READY} or end["conditions"].get("serving"))'), "though it still serves"),
            (altered("endpoints", NAMED, 'own["name"] == port["name"]'), "A port without a name has no field `name`"),
            (altered("endpoints", NAMED, 'own.get("name") == port.get("name")'), "A port without a name has no field"),
            (altered("endpoints", "return sorted(found)", "return found"), "a set has no order; give `sorted(…)`."),
            (altered("endpoints", "return sorted(found)", "return sorted(found).sort()"), "each `address:port`."),
            (altered("endpoints", " is not False", " is True"), "only `false` is no"),
            (altered("endpoints", "not same or ", ""), "in another namespace"),
            (altered("endpoints", " or one[\"addressType\"] != \"IPv4\"", ""), "addressType IPv6"),
            (altered("endpoints", "{own['port']}", "{port['targetPort']}"), "targetPort may be a name"),
            (SLICE_BY_NUMBER, "targetPort may be a name"),
            (altered("endpoints", "return sorted(found)", "return sorted({*found, '10.244.1.7:8080'})"), "packet"),
            (altered("endpoints", "return sorted(found)", "return 'none'"), "each `address:port`"),
        ),
    ),
    ("10", "whole"): Answers(
        right=(altered("kube_proxy", "rules += balance_rules(name, protocol, ends)\n", "pass\n",
                       "for end in ends:\n", "rules += balance_rules(name, protocol, ends)\n"
                       "                for end in ends:\n"),),
        foreseen=(altered("kube_proxy", "-j REJECT", "-j DROP"), altered("kube_proxy", "refused.append(", "str(")),
        others=(
            (altered("kube_proxy", "chains.append(", "str("), "neither a target nor a chain"),
            (altered("kube_proxy", "rules += way_in(name, protocol, address, number)\n", "pass\n"), "packet"),
            (altered("kube_proxy", "return frame(refused, chains, rules)", "return rules"), "a text is wanted, as `fr"),
            (altered("kube_proxy", "if ends:", 'chains.append(chain("KUBE-SVC-", name + protocol))\n'
                     "            if ends:"), "A port without endpoints has one rule, in filter, and no chain."),
            (altered("kube_proxy", " has no endpoints", " has nobody"), "Each port has its own refusal"),
            (altered("kube_proxy", '-m comment --comment "{name} has no endpoints" ', ""), "Each port has its own ref"),
            (altered("kube_proxy", "refused.append(", 'if protocol == "tcp":\n                    refused.append('),
             "Each port has its own refusal"),
            (altered("kube_proxy", WAY_IN, "[]", BALANCE, f"{BALANCE} + {WAY_IN}"), "the mark comes before the shar"),
            (altered("kube_proxy", f"rules += {WAY_IN}", f"rules.append({WAY_IN})"),
             "`rules` is a list of texts: a list is added with `+=`, one text with `.append(…)`. In it is ['-A KUBE"),
            (altered("kube_proxy", 'chains.append(chain("KUBE-SVC-", name + protocol))',
                     'chains += chain("KUBE-SVC-", name + protocol)'), "`chains` is a list of texts"),
            (altered("kube_proxy", "frame(refused,", 'frame("-A",'), "`refused` is a list of texts"),
            (altered("kube_proxy", "if ends:", "if not ends:"), "packet"),
        ),
    ),
    ("10", "leftover"): Answers(
        right=(altered("sync", "for one in gone]", "for one in reversed(gone)]"),),
        others=(
            (altered("sync", "return text", "lines.sort(key=lambda line: line.split()[line[0] == '-'].strip(':'))\n"
                     "    return text"), "emptied before the first is deleted"),
            (altered("sync", '[f":{one} - [0:0]" for one in gone] + ', ""), "only when it is empty"),
            ("def sync(objects, there):\n    return kube_proxy(objects)\n", "no packet comes to its chains"),
            (altered("sync", ' + [f"-X {one}" for one in gone]', ""), "no packet comes to its chains"),
            (altered("sync", "for one in there if one not in text", "for one in there"),
             "only those that the new text does not name go"),
            (lambda objects: "", "With `sync` it came to TypeError"),
        ),
    ),
}

# Of test_course.py: exercise → what stands above the cell's last line, wrong and right.
EDITS = {
    "digest": (filled("chain", "12"), PARTS["chain"].solution),
    "endpoint": (filled("endpoint_rules", "DNAT --to-destination {address}"), PARTS["endpoint_rules"].solution),
    "balance": (filled("balance_rules", "1 / len(ends)"), PARTS["balance_rules"].solution),
    "headless": ("def served(service):\n    return True\n", PARTS["served"].solution),
    "ready": ("def endpoints(service, port, slices):\n    return slices[0]['ends']\n", PARTS["endpoints"].solution),
    "whole": (altered("kube_proxy", "REJECT", "DROP"), PARTS["kube_proxy"].solution),
    "leftover": ("def sync(objects, there):\n    return kube_proxy(objects)\n", PARTS["sync"].solution),
}
