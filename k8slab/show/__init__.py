"""Trace → what a person sees: a stepper to walk, static HTML to save, and a text twin that says the same."""

from k8slab.show.beside import side_by_side
from k8slab.show.headlines import headlines
from k8slab.show.text import story
from k8slab.show.view import Shown, show

__all__ = ["Shown", "headlines", "show", "side_by_side", "story"]
