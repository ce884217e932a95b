"""The lab's time on the real kernel: it stands still while nobody asks, and moves by hand."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path

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


def test_a_program_that_is_held_up_is_confirmed_before_it_speaks_and_the_journey_is_told_whole():
    """TCP waits 40 ms for an answer that an acknowledgement can travel with (TCP_DELACK_MIN), and then sends it alone.

    So a machine that is busy enough makes a packet more, and a notebook another text than the one that is stored.
    """
    with Kernel(network(), rules()) as lab, held_up(lab.holder.process.pid):
        found = [signs(lab.connect("client", "10.96.0.20", 80))]
        while len(found) < 80 and all(len(one) == len(USUAL) for one in found):
            found.append(signs(lab.connect("client", "10.96.0.20", 80)))
    assert len(found[-1]) > len(USUAL)
    for one in found:
        assert [sign for sign in one if sign != "A"] == [sign for sign in USUAL if sign != "A"] and one[-1] == "A"


USUAL = ["S", "SA", "A", "PA", "PA", "FA", "FA", "A"]


def signs(trace):
    """The flags of what the two ends sent, in order; each was received."""
    assert trace.verdict == "DELIVERED" and trace.reply
    return [step.before.flags for step in trace.steps if step.kind == "LEAVE" and step.node in ("client", "web")]


@contextmanager
def held_up(process):
    """A process and its children stand still for 60 ms, again and again."""
    family = [process]
    for one in family:
        family += map(int, Path(f"/proc/{one}/task/{one}/children").read_text(encoding="ascii").split())
    over = threading.Event()

    def hold_up():
        while not over.wait(0.02):
            for sign, seconds in ((signal.SIGSTOP, 0.06), (signal.SIGCONT, 0)):
                for one in family:
                    os.kill(one, sign)
                time.sleep(seconds)

    thread = threading.Thread(target=hold_up)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
