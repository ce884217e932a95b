"""The lab's time on the real kernel: it stands still while nobody asks, and moves by hand."""

from __future__ import annotations

import time

import pytest

from k8slab.kernel.dataplane import Kernel
from tests.kernel.journeys import network, rules

pytestmark = pytest.mark.kernel


def test_an_idle_lab_does_not_age_and_moves_by_hand():
    with Kernel(network(), rules()) as lab:
        lab.connect("client", "10.96.0.10", 53, proto="udp")
        asked = max(entry.timeout for entry in lab.entries("worker1"))
        time.sleep(6.2)
        assert max(entry.timeout for entry in lab.entries("worker1")) >= asked - 3      # a part of a second is lost each time
        lab.clock.advance(20)
        assert asked - 24 <= max(entry.timeout for entry in lab.entries("worker1")) <= asked - 19
        lab.clock.advance(20)
        assert lab.entries("worker1") == ()
