"""Label and field selectors: `app=web,tier!=db`, `env in (a,b)`, `!canary`; `metadata.name=kubernetes`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from k8slab.cluster.errors import bad_request
from k8slab.cluster.plain import dig

Test = Callable[[Mapping], bool]

_SET = re.compile(r"^(?P<key>\S+)\s+(?P<how>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^\s!=,]+)\s*(?P<how>==|!=|=)\s*(?P<value>[^\s!=,]*)$")
_THERE = re.compile(r"^(?P<no>!?)\s*(?P<key>[^\s!=,()]+)$")
_COMMA = re.compile(r",(?![^()]*\))")


def label_selector(text: str) -> Test:
    """What tests an object's labels; an empty text lets every object pass.

    >>> label_selector("app in (web,api),!old")({"metadata": {"labels": {"app": "web"}}})
    True

    Raises ApiError (400) for a text that is no selector.
    """
    tests = [_requirement(one.strip(), text) for one in _COMMA.split(text)] if text.strip() else []
    return lambda obj: all(test(dig(obj, "metadata", "labels", default={})) for test in tests)


def _requirement(word: str, text: str) -> Test:
    if found := _SET.match(word):
        key, values = found["key"], {one.strip() for one in found["values"].split(",")}
        wanted = found["how"] == "in"
        return lambda labels: (labels.get(key) in values) == wanted
    if found := _EQUAL.match(word):
        key, value, wanted = found["key"], found["value"], found["how"] != "!="
        return lambda labels: (labels.get(key) == value) == wanted
    if found := _THERE.match(word):
        key, wanted = found["key"], not found["no"]
        return lambda labels: (key in labels) == wanted
    raise bad_request(f'unable to parse requirement: found "{word}", expected: in, notin, =, ==, !=, gt, lt in '
                      f'"{text}"')


def matches(selector: Mapping[str, str], labels: Mapping[str, str] | None) -> bool:
    """Whether labels have all that a Service's selector names; an empty selector selects nothing.

    >>> matches({"app": "web"}, {"app": "web", "x": "y"}), matches({}, {"app": "web"})
    (True, False)
    """
    return bool(selector) and all((labels or {}).get(key) == value for key, value in selector.items())


# The fields that the API knows for each kind, beside metadata.name and metadata.namespace.
FIELDS = {
    "Pod": {"spec.nodeName", "status.phase", "status.podIP", "spec.serviceAccountName", "spec.restartPolicy"},
    "Service": {"spec.clusterIP", "spec.type"},
    "Node": {"spec.unschedulable"},
    "Namespace": {"status.phase"},
    "Event": {"involvedObject.kind", "involvedObject.name", "involvedObject.namespace", "involvedObject.uid", "reason",
              "type"},
}


def field_selector(text: str, kind: str, version: str = "v1") -> Test:
    """What tests an object's fields.

    >>> field_selector("metadata.name=a", "Pod")({"metadata": {"name": "a"}})
    True

    Raises ApiError (400) for a field that the API does not select by.
    """
    tests: list[Test] = []
    for word in filter(None, text.split(",")):
        found = _EQUAL.match(word.strip())
        if not found:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{word}'")
        key = found["key"]
        if key not in {"metadata.name", "metadata.namespace"} | FIELDS.get(kind, set()):
            raise bad_request(f'Unable to find "{version}, Resource={kind}" that match label selector "", '
                              f'field selector "{text}": field label not supported: {key}')
        tests.append(lambda obj, path=key.split("."), value=found["value"], wanted=found["how"] != "!=":
                     (str(dig(obj, *path, default="")) == value) == wanted)
    return lambda obj: all(test(obj) for test in tests)
