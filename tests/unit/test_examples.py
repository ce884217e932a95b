"""Every example in a docstring says what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import k8slab
from k8slab.iptables import Context, parse, read_rule
from k8slab.packet import Packet

# What an example may use without a word, besides its own module's names.
COMMON = {"Packet": Packet, "Context": Context, "parse": parse, "read_rule": read_rule}
MODULES = [m.name for m in pkgutil.walk_packages(k8slab.__path__, "k8slab.") if not m.name.endswith("__main__")]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module(name: str) -> None:
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, extraglobs=COMMON, optionflags=doctest.ELLIPSIS)
    assert failed == 0
