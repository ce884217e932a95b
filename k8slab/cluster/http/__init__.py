"""The control plane served as Kubernetes serves it, to programs that no one here wrote: kubectl, a client library.

`api.py` answers requests and knows of no socket; `listening.py` is the HTTPS server, by tornado. The same `Api` answers
over TLS that travels in the model's segments.
"""

from k8slab.cluster.http.api import Api
from k8slab.cluster.http.messages import Request, Response, Stream
from k8slab.cluster.http.tokens import Tokens

__all__ = ["Api", "Request", "Response", "Stream", "Tokens"]
