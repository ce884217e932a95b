"""What kube-proxy had heard: the objects as they were before a change of which it never learned.

Each function takes the objects and a Place, and gives the objects that the rules on the node were written for.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from k8slab.course.capstone.place import Place


def _edited(items: Sequence[dict], place: Place, kind: str, edit: Callable[[dict], None]) -> tuple[dict, ...]:
    """The objects, with the Service or the slice of the place edited."""
    made = []
    for item in items:
        meta = item["metadata"]
        if item["kind"] == kind and f"{meta.get('namespace')}/{meta['name']}" == place.service:
            item = copy.deepcopy(item)
            edit(item)
        made.append(item)
    return tuple(made)


def _chosen(item: dict, place: Place) -> dict:
    """The endpoint that the fault befalls."""
    address = place.chosen.partition(":")[0]
    return next(one for one in item["endpoints"] if one["addresses"] == [address])


def nobody(items: Sequence[dict], place: Place) -> tuple[dict, ...]:
    """Before any endpoint was ready."""
    return _edited(items, place, "EndpointSlice", lambda item: item["endpoints"].clear())


def lost_endpoint(items: Sequence[dict], place: Place) -> tuple[dict, ...]:
    """Before one endpoint came."""
    return _edited(items, place, "EndpointSlice", lambda item: item["endpoints"].remove(_chosen(item, place)))


def old_endpoint(items: Sequence[dict], place: Place) -> tuple[dict, ...]:
    """When one endpoint had another address."""
    return _edited(items, place, "EndpointSlice",
                   lambda item: _chosen(item, place).update(addresses=[place.stranger]))


def another_address(items: Sequence[dict], place: Place) -> tuple[dict, ...]:
    """When the Service had another ClusterIP."""
    return _edited(items, place, "Service", lambda item: item["spec"].update(clusterIP=place.new_ip))
