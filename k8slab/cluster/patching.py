"""The three kinds of patches that the API takes: strategic merge, merge (RFC 7386) and JSON (RFC 6902)."""

from __future__ import annotations

from collections.abc import Mapping

from k8slab.cluster.errors import ApiError, bad_request
from k8slab.cluster.plain import copied

# By what the API tells the items of a list apart in a strategic merge; lists that are not here are replaced whole.
MERGE_KEYS = {"Service": {"ports": "port"}, "Pod": {"containers": "name", "env": "name", "conditions": "type"},
              "Node": {"conditions": "type", "addresses": "type"}}
EVERYWHERE = {"ownerReferences": "uid"}
HOWS = ("strategic", "merge", "json")


def patched(obj: Mapping, patch: object, how: str = "strategic") -> dict:
    """A changed copy of an object.

    >>> patched({"kind": "Service", "spec": {"ports": [{"port": 80, "name": "a"}]}},
    ...         {"spec": {"ports": [{"port": 80, "name": "b"}, {"port": 81}]}})["spec"]["ports"]
    [{'port': 80, 'name': 'b'}, {'port': 81}]
    >>> patched({"kind": "Service", "a": 1}, {"a": None}, "merge")
    {'kind': 'Service'}

    Raises ApiError where the patch does not fit.
    """
    if how == "json":
        return _json_patch(copied(obj), patch)
    keys = EVERYWHERE | MERGE_KEYS.get(obj.get("kind", ""), {}) if how == "strategic" else {}
    return _merged(copied(obj), patch, keys)


def _merged(old: dict, patch: object, keys: Mapping[str, str]) -> dict:
    if not isinstance(patch, Mapping):
        raise bad_request("json: cannot unmarshal the patch into a JSON object")
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    for key, value in patch.items():
        if key.startswith("$setElementOrder/"):
            continue
        if value is None:
            old.pop(key, None)
        elif isinstance(value, Mapping):
            before = old.get(key)
            old[key] = _merged(before if isinstance(before, dict) else {}, value, keys)
        elif isinstance(value, list) and key in keys:
            old[key] = _merged_list(old.get(key) or [], value, keys[key], keys)
        else:
            old[key] = copied(value)
    return old


def _merged_list(old: list, patch: list, by: str, keys: Mapping[str, str]) -> list:
    items = {one.get(by): one for one in old}
    for one in patch:
        if not isinstance(one, Mapping):
            raise bad_request("json: cannot unmarshal an item of a list that is merged into a JSON object")
        if one.get(by) is None:
            raise bad_request(f"map: map{one} does not contain declared merge key: {by}")
        if one.get("$patch") == "delete":
            items.pop(one[by], None)
        else:
            items[one[by]] = _merged(items.get(one[by], {}), one, keys)
    return list(items.values())


def _json_patch(obj: dict, steps: object) -> dict:
    if not isinstance(steps, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    whole = {"": obj}
    for step in steps:
        if not isinstance(step, Mapping) or not isinstance(step.get("path", ""), str):
            raise bad_request("json: cannot unmarshal a step into Go value of type jsonpatch.Operation")
        names = [one.replace("~1", "/").replace("~0", "~") for one in step.get("path", "").split("/")]
        try:
            _apply(whole, names, step)
        except (KeyError, IndexError, ValueError, TypeError):
            verb = step.get("op", "")
            raise ApiError(422, "Invalid", f'the server rejected our request due to an error in our request: {verb} '
                           f'operation does not apply: doc is missing path: "{step.get("path", "")}"') from None
    if not isinstance(whole.get(""), dict):
        raise bad_request("json: cannot unmarshal what is left into a JSON object")
    return whole[""]


def _apply(whole: dict, names: list[str], step: Mapping) -> None:
    place: object = whole
    for name in names[:-1]:
        place = place[int(name)] if isinstance(place, list) else place[name]
    last, verb = names[-1], step["op"]
    if isinstance(place, list):
        at = len(place) if last == "-" else int(last)
        if verb == "add" and at <= len(place):
            place.insert(at, copied(step["value"]))
            return
        last = at
    elif verb == "add":
        place[last] = copied(step["value"])
        return
    found = place[last]
    if verb == "remove":
        del place[last]
    elif verb == "replace":
        place[last] = copied(step["value"])
    elif verb != "test" or found != step["value"]:
        raise ValueError(verb)
