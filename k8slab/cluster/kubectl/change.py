"""`kubectl create`, `apply`, `patch` and `delete`."""

from __future__ import annotations

import json
from collections.abc import Mapping

import yaml

from k8slab.cluster.client import Client
from k8slab.cluster.errors import ApiError
from k8slab.cluster.kinds import Kind
from k8slab.cluster.kubectl.answer import Printed
from k8slab.cluster.kubectl.flags import Line, Usage
from k8slab.cluster.kubectl.get import selected, server_error
from k8slab.cluster.kubectl.output import named, printer
from k8slab.cluster.kubectl.targets import Target, files, kind_in, namespace_for, namespace_in, targets
from k8slab.cluster.patching import HOWS, MERGE_KEYS
from k8slab.cluster.plain import copied, dig, name_of, namespace_of

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
UNAPPLIED = ("resource {} is missing the kubectl.kubernetes.io/last-applied-configuration annotation which is required "
             "by kubectl apply. kubectl apply should only be used on resources created declaratively by either kubectl "
             "create --save-config or kubectl apply. The missing annotation will be patched automatically.")
UNCONFIRMED = ("Immediate deletion does not wait for confirmation that the running resource has been terminated. The "
               "resource may continue to run on the cluster indefinitely.")
LONGEST, STEP = 60.0, 0.5  # seconds that a deletion is waited for at most, and between two looks
SERVICE_TYPES = {"clusterip": "ClusterIP", "nodeport": "NodePort", "loadbalancer": "LoadBalancer",
                 "externalname": "ExternalName"}


def say(line: Line, printed: Printed, obj: Mapping, done: str) -> None:
    """`service/web created`, or the object in the format that was asked for."""
    output = line.value("output")
    dry = " (dry run)" if line.value("dry-run") == "client" else ""
    printed.out(printer(output)([obj], True) if output else f"{named(obj)} {done}{dry}\n")


def create(client: Client, line: Line, given: Mapping[str, str], printed: Printed) -> None:
    """Print what `kubectl create` prints."""
    if line.value("dry-run", "none") not in ("none", "client"):
        raise Usage("error: this kubectl knows --dry-run=client alone")
    if not line.lists.get("filename"):
        if not line.words:
            raise Usage("error: must specify one of -f and -k")
        _create_one(client, line, printed, _written(line), "")
        return
    for source, obj in files(line, given):
        try:
            _create_one(client, line, printed, obj, source)
        except ApiError as error:
            printed.fail(server_error(error, f'error when creating "{source}": '))


def _create_one(client: Client, line: Line, printed: Printed, obj: dict, source: str) -> None:
    kind = kind_in(obj, source)
    namespace = namespace_in(line, kind, obj)
    if line.on("save-config"):
        obj = _marked(obj)
    if line.value("dry-run") != "client":
        obj = client.create(obj, kind, namespace)
        printed.warn(kind.warning)
    say(line, printed, obj, "created")


def _written(line: Line) -> dict:
    """The object of `create service clusterip NAME --tcp=80:8080` or `create namespace NAME`."""
    kind, *rest = line.words
    if kind in ("namespace", "ns"):
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _one_name(line, rest)}}
    if kind not in ("service", "svc"):
        raise Usage(f"error: this kubectl creates services, namespaces and what is in a file (-f), not {kind}")
    how = SERVICE_TYPES.get(rest[0] if rest else "")
    if how is None:
        raise Usage(f"error: say which: kubectl create service {'|'.join(SERVICE_TYPES)} NAME")
    name = _one_name(line, rest[1:])
    spec: dict = {"type": how, "selector": {"app": name}}
    if ports := [_port(one) for words in line.lists.get("tcp", []) for one in words.split(",")]:
        spec["ports"] = ports
    if address := line.value("clusterip"):
        spec["clusterIP"] = address
    if line.value("node-port"):
        spec["ports"][0]["nodePort"] = int(line.value("node-port"))
    if how == "ExternalName":
        spec["externalName"] = line.value("external-name")
    elif not ports and address != "None":
        raise Usage("error: at least one tcp port specifier must be provided")
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def _one_name(line: Line, words: list[str]) -> str:
    if len(words) != 1:
        raise Usage(f"error: exactly one NAME is required, got {len(words)}\nSee 'kubectl create "
                    f"{line.words[0]} -h' for help and examples")
    return words[0]


def _port(text: str) -> dict:
    port, _, target = text.partition(":")
    target = target or port
    if not port.isdigit() or not 1 <= int(port) <= 65535:
        raise Usage(f"error: failed to parse port: {text}: a number from 1 to 65535 is wanted, then : and a target")
    return {"name": text.replace(":", "-"), "port": int(port), "protocol": "TCP",
            "targetPort": int(target) if target.isdigit() else target}


def _marked(obj: Mapping) -> dict:
    """A copy that says, in an annotation, how it was applied."""
    new = copied(obj)
    annotations = new.setdefault("metadata", {}).setdefault("annotations", {})
    if not isinstance(annotations, dict):
        return new  # the API server will say what is wrong with it
    annotations.pop(APPLIED, None)
    said = json.dumps(new, separators=(",", ":"), sort_keys=True) + "\n"
    annotations[APPLIED] = said
    return new


def apply(client: Client, line: Line, given: Mapping[str, str], printed: Printed) -> None:
    """Print what `kubectl apply -f` prints."""
    if not line.lists.get("filename"):
        raise Usage("error: must specify one of -f and -k")
    for source, obj in files(line, given):
        kind = kind_in(obj, source)
        namespace = namespace_in(line, kind, obj)
        try:
            _apply_one(client, line, printed, obj, kind, namespace)
            printed.warn(kind.warning)
        except ApiError as error:
            doing = "creating" if client.find(kind, namespace, name_of(obj)) is None else "applying patch to"
            printed.fail(server_error(error, f'error when {doing} "{source}": '))


def _apply_one(client: Client, line: Line, printed: Printed, obj: dict, kind: Kind, namespace: str) -> None:
    if not name_of(obj):
        raise Usage("error: error when retrieving current configuration of: resource name may not be empty")
    old = client.find(kind, namespace, name_of(obj))
    new = _marked(obj)
    if old is None:
        say(line, printed, client.create(new, kind, namespace), "created")
        return
    before = dig(old, "metadata", "annotations", APPLIED)
    if before is None:
        printed.warn(UNAPPLIED.format(f"{kind.plural}/{name_of(obj)}"))
    patch = _removals(json.loads(before) if before else {}, obj, MERGE_KEYS.get(kind.kind, {})) | {}
    patch = _laid_over(patch, new)
    made, _ = client.patch(patch, "strategic", kind, namespace, name_of(obj))
    same = made["metadata"]["resourceVersion"] == old["metadata"]["resourceVersion"]
    say(line, printed, made, "unchanged" if same else "configured")


def _removals(before: Mapping, now: Mapping, keys: Mapping[str, str]) -> dict:
    """The patch that takes away what was applied last time and is not in the file now."""
    patch: dict = {}
    for key, value in before.items():
        if key not in now:
            patch[key] = None
        elif isinstance(value, Mapping) and isinstance(now[key], Mapping):
            if below := _removals(value, now[key], keys):
                patch[key] = below
        elif key in keys and isinstance(value, list) and isinstance(now[key], list):
            by = keys[key]
            left = {one.get(by) for one in now[key]}
            if gone := [{by: one[by], "$patch": "delete"} for one in value if one.get(by) not in left]:
                patch[key] = gone
    patch.pop("status", None)
    return patch


def _laid_over(removals: dict, new: Mapping) -> dict:
    """Both in one patch."""
    patch = dict(removals)
    for key, value in new.items():
        below = patch.get(key)
        if isinstance(value, Mapping) and isinstance(below, dict):
            patch[key] = _laid_over(below, value)
        elif isinstance(value, list) and isinstance(below, list):
            patch[key] = below + value
        else:
            patch[key] = value
    return patch


def patch(client: Client, line: Line, given: Mapping[str, str], printed: Printed) -> None:
    """Print what `kubectl patch` prints."""
    how = line.value("type", "strategic")
    if how not in HOWS:
        raise Usage(f'error: --type must be one of [json merge strategic], not "{how}"')
    if not line.value("patch"):
        raise Usage("error: must specify --patch or --patch-file containing the contents of the patch")
    try:
        asked = yaml.safe_load(line.value("patch"))
    except yaml.YAMLError as error:
        said = getattr(error, "problem", error)
        raise Usage(f'error: unable to parse "{line.value("patch")}": yaml: {said}') from None
    for one in targets(line):
        if not one.name:
            raise Usage("error: resource name may not be empty")
        namespace = namespace_for(line, one.kind)
        before = client.get(one.kind, namespace, one.name)
        made, unknown = client.patch(asked, how, one.kind, namespace, one.name)
        printed.warn(one.kind.warning)
        for field in unknown:
            printed.warn(f'unknown field "{field}"')
        same = made["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        say(line, printed, made, "patched (no change)" if same else "patched")


def delete(client: Client, line: Line, given: Mapping[str, str], printed: Printed) -> None:
    """Print what `kubectl delete` prints; it waits until the objects are gone, as long as they take of lab time."""
    forced = line.on("force")
    grace = 0 if forced else int(line.value("grace-period", "-1"))
    if line.on("now"):
        grace = 1
    if grace == 0 and not forced:
        grace = 1  # kubectl asks for one second, unless it is to be forced
    if forced:
        printed.warn(UNCONFIRMED)
    wanted = _doomed(client, line, given, printed)
    if not wanted and not printed.status:
        printed.out("No resources found\n")
    waiting = []
    for target, namespace in wanted:
        try:
            before = client.find(target.kind, namespace, target.name) or {}
            client.delete(target.kind, namespace, target.name, None if grace < 0 else grace)
            printed.warn(target.kind.warning)
        except ApiError as error:
            if not (line.on("ignore-not-found") and error.code == 404):
                printed.fail(server_error(error))
            continue
        done = "force deleted" if forced else "deleted"
        where = f" from {namespace} namespace" if namespace else ""
        printed.out(f"{named(before)}\n" if line.value("output") == "name" else
                    f'{target.kind.qualified.lower()} "{target.name}" {done}{where}\n')
        waiting.append((target, namespace, before["metadata"]["uid"]))
    if line.value("wait", "true") == "true":
        _wait(client, waiting)


def _doomed(client: Client, line: Line, given: Mapping[str, str], printed: Printed) -> list[tuple[Target, str]]:
    """What a deletion means, one by one, with its namespace."""
    if line.lists.get("filename"):
        found = []
        for source, obj in files(line, given):
            kind = kind_in(obj, source)
            found.append((Target(kind, name_of(obj)), namespace_in(line, kind, obj)))
        return found
    found = []
    for one in targets(line):
        namespace = namespace_for(line, one.kind)
        if one.name:
            found.append((one, namespace))
        elif line.on("all") or line.value("selector") or line.value("field-selector"):
            found += [(Target(one.kind, name_of(obj)), namespace_of(obj))
                      for obj in selected(client, line, one.kind, namespace)]
        else:
            raise Usage("error: resource(s) were provided, but no name was specified")
    return found


def _wait(client: Client, waiting: list[tuple[Target, str, str]]) -> None:
    end = client.clock.now + LONGEST
    client.clock.run()
    for target, namespace, uid in waiting:
        while client.clock.now < end:
            left = client.answering()
            found = left.find(target.kind, namespace, target.name) if left else None
            if found is None or found["metadata"]["uid"] != uid:
                break
            client.clock.advance(STEP)
