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
        begun = time.monotonic()
        time.sleep(6.2)
        left = max(entry.timeout for entry in lab.entries("worker1"))
        waited = time.monotonic() - begun - 6.2     # while it is asked something it does age: longer on a busy machine
        assert left >= asked - 3 - waited           # a part of a second is lost each time
        lab.clock.advance(20)
        assert left - 24 <= max(entry.timeout for entry in lab.entries("worker1")) <= left - 19
        lab.clock.advance(20)
        assert lab.entries("worker1") == ()
