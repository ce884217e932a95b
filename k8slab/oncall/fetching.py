"""The objects of a running cluster, by the Python client of Kubernetes, which is an extra of this package.

Lists come in pages, and as the API's own JSON: the client's classes are not used, so that its release need not be the
cluster's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from k8slab.errors import Told

PAGE = 500
EXTRA = "pip install 'k8slab[kubernetes]'"


class FetchError(Told, RuntimeError):
    """A cluster whose objects could not be had; the message says which file, and what went wrong."""


def fetch(kubeconfig: str, context: str | None = None) -> list[object]:
    """All Services, EndpointSlices and Nodes of the cluster that a kubeconfig names.

    Raises FetchError where the client is not installed, the file is no kubeconfig, or the API server does not answer
    with lists.
    """
    try:
        from kubernetes import client, config
        from kubernetes.client.exceptions import ApiException
        from kubernetes.config.config_exception import ConfigException
        from urllib3.exceptions import HTTPError
    except ImportError as error:
        raise FetchError(f"--kubeconfig needs the Python client of Kubernetes ({error}): {EXTRA}") from None
    try:
        api = config.new_client_from_config(kubeconfig, context)
        core, discovery = client.CoreV1Api(api), client.DiscoveryV1Api(api)
        lists = (core.list_service_for_all_namespaces, discovery.list_endpoint_slice_for_all_namespaces, core.list_node)
        return [item for call in lists for item in _items(call)]
    except ApiException as error:
        raise FetchError(f"{kubeconfig}: the API server says {error.status} {error.reason}") from None
    except ConfigException as error:
        raise FetchError(f"{kubeconfig}: {' '.join(str(error).split())}") from None
    except HTTPError as error:
        reason = getattr(error, "reason", None) or error
        raise FetchError(f"{kubeconfig}: the API server cannot be reached: {reason}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FetchError(f"{kubeconfig}: this is no kubeconfig, or no API server answers there: {error}") from None


def _items(call: Callable) -> Iterator[object]:
    """The items of a list, page after page, each with the kind that a list leaves out."""
    token = None
    while True:
        page = json.loads(call(limit=PAGE, _continue=token, _preload_content=False).data)
        kind = page["kind"].removesuffix("List")
        yield from ({"kind": kind, **item} for item in page["items"])
        token = page.get("metadata", {}).get("continue")
        if not token:
            return
