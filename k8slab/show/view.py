"""What a cell shows of a journey: the stepper while a kernel runs, static HTML and text when it is saved."""

from __future__ import annotations

from dataclasses import dataclass

from k8slab.network import Network
from k8slab.show.static import page
from k8slab.trace import Trace


@dataclass(frozen=True, slots=True, repr=False)
class Shown:
    """A journey to be displayed, in three forms at once; a notebook takes the richest that it can show."""

    trace: Trace
    network: Network | None = None

    def __repr__(self) -> str:
        return str(self.trace)

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        """The text twin and static HTML, which are saved, and the live stepper, which is not.

        A saved widget without its kernel is an error message: `scripts/execute_notebooks.py` takes it out.
        """
        from k8slab.show.stepper import stepper      # only a notebook needs ipywidgets

        live = stepper(self.trace, self.network)._repr_mimebundle_()
        return live | {"text/plain": str(self.trace), "text/html": page(self.trace)}


def show(trace: Trace, network: Network | None = None) -> Shown:
    """Show a journey in a notebook; `network` (a lab's `lab.network`) tells each host's kind and address.

    >>> from k8slab.lab import Lab
    >>> print(show(Lab("model").ping("client", "10.244.1.7")))       # doctest: +ELLIPSIS
    10.244.1.5 asked 10.244.1.7; 10.244.1.7 answered, and the answer came back as 10.244.1.7.
    ...
    """
    return Shown(trace, network)
