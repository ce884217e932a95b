"""The programs of the lab's hosts on the real kernel: servers that answer, and a client that goes step by step.

All of them run in the child process, by its one thread, between which steps it waits until the kernel is quiet. So
the packets of a connection come in the same order every time: SYN, SYN-ACK, ACK, question, answer, FIN, FIN, ACK.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Collection
from selectors import EVENT_READ, BaseSelector

from k8slab.commands import spoken
from k8slab.kernel.namespaces import Host

TCP_QUICKACK, TCP_REPAIR, IP_PKTINFO = 12, 19, 8      # linux/tcp.h, linux/in.h
DATAGRAM = 4096
QUICK = 20                # how often a step is looked for before the client waits for quiet


class Server:
    """One listening socket of a host, and its open connections.

    `hand_over`: takes a connection on which something has come, if it is not for this server to answer.
    """

    def __init__(self, host: Host, proto: str, port: int, ears: BaseSelector,
                 hand_over: Callable[[socket.socket], bool] = lambda talk: False) -> None:
        self.host, self.proto, self.port, self.ears = host, proto, port, ears
        self.hand_over = hand_over
        self.open: dict[socket.socket, str] = {}
        self.answers: dict[bytes, bytes] = {}     # question and answer, without DNS's two id bytes
        self._listen()

    def _listen(self) -> None:
        host, proto, port, ears = self.host, self.proto, self.port, self.ears
        kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
        with host.inside():
            self.door = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
            self.door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.door.bind(("0.0.0.0", port))
        if proto == "tcp":
            self.door.listen(4096)
        else:
            self.door.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        ears.register(self.door, EVENT_READ, self._accept if proto == "tcp" else self._datagrams)

    def begin_anew(self) -> None:
        """Forget everything, half-open connections too."""
        self.close()
        self._listen()

    def close(self) -> None:
        """Listen no longer."""
        self.end()
        self.ears.unregister(self.door)
        self.door.close()

    def _datagrams(self) -> bool:
        busy = False
        while True:
            try:
                question, ancillary, _, asker = self.door.recvmsg(DATAGRAM, 64)
            except BlockingIOError:
                return busy
            except OSError:              # an ICMP error about an earlier answer
                busy = True
                continue
            busy = True
            info = ancillary[0][2]
            asked = socket.inet_ntoa(info[8:12])
            known = self.answers.get(question[2:])
            says = question[:2] + known if known is not None else spoken(
                f"{self.host.name} at {asked}:{self.port} answers {asker[0]}", question)
            # From the address that was asked, whichever the routes would choose.
            pack = struct.pack("=i4s4s", 0, info[8:12], b"\0" * 4)
            try:
                self.door.sendmsg([says], [(socket.IPPROTO_IP, IP_PKTINFO, pack)], 0, asker)
            except OSError:
                pass                     # no way back: nothing is sent, as the routes say

    def _accept(self) -> bool:
        try:
            made, asker = self.door.accept()
        except OSError:
            return False
        made.setblocking(False)
        # The ACK travels with the answer, if that comes within 40 ms.
        made.setsockopt(socket.IPPROTO_TCP, TCP_QUICKACK, 0)
        # Who sends by hand may never confirm: the next answer does not wait for that.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.open[made] = asker[0]
        self.ears.register(made, EVENT_READ, lambda: self._talk(made))
        return True

    def _talk(self, talk: socket.socket) -> bool:
        try:
            question = b"" if self.hand_over(talk) else talk.recv(65536)
            if question:
                address, port = talk.getsockname()
                talk.send(spoken(f"{self.host.name} at {address}:{port} answers {self.open[talk]}", question))
        except BlockingIOError:
            return False
        except OSError:
            question = b""
        if not question:
            self._forget(talk)
            talk.close()
        return True

    def _forget(self, talk: socket.socket) -> None:
        self.ears.unregister(talk)
        del self.open[talk]

    def end(self, kept: Collection[socket.socket] = ()) -> None:
        """Forget the open connections, but for those of `kept`, without a packet."""
        for talk in self.open.keys() - set(kept):
            self._forget(talk)
            vanish(talk)


def vanish(talk: socket.socket) -> None:
    """Close a TCP socket without a word to its peer (TCP_REPAIR, made for moving sockets between machines)."""
    try:
        talk.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except OSError:
        pass                             # not connected: closing says nothing anyway
    talk.close()


class Client:
    """A TCP client that goes one step at a time; `settle` waits until the kernel is quiet.

    `outcome` is "answered", "refused", "unreachable", "timeout" or "cut" afterwards, `said` what came back.
    """

    def __init__(self, host: Host, source: tuple[str, int], target: tuple[str, int],
                 settle: Callable[[], None]) -> None:
        self.settle, self.target, self.said, self.outcome = settle, target, b"", "timeout"
        with host.inside():
            self.talk = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.talk.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.talk.bind(source)

    def ask(self, question: bytes) -> None:
        """Connect, ask, hear the answer and close. What the kernel refuses becomes the outcome."""
        try:
            error = self.talk.connect_ex(self.target)
            self.settle()
            error = self.talk.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or (error if error != 115 else 0)
            if error:
                self.outcome = _OUTCOMES.get(error, "unreachable")
                return
            if not self._connected():
                return
            self.talk.setsockopt(socket.IPPROTO_TCP, TCP_QUICKACK, 0)
            self.talk.send(question)
            self.settle()
            self.outcome = "cut"
            self.said = self.talk.recv(65536)
            self.outcome = "answered"
            self.talk.shutdown(socket.SHUT_WR)
            self.settle()
        except BlockingIOError:
            pass                         # nothing came
        except OSError:
            self.outcome = "refused"
        finally:
            self._close()

    def open(self) -> None:
        """Connect, and stay: "open" is the outcome, or what the kernel refuses."""
        try:
            error = self.talk.connect_ex(self.target)
            self.settle()
            error = self.talk.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or (error if error != 115 else 0)
            self.outcome = _OUTCOMES.get(error, "unreachable") if error else "open" if self._connected() else "timeout"
        finally:
            if self.outcome != "open":
                vanish(self.talk)

    def say(self, question: bytes) -> None:
        """Ask over the open connection, or close it with an empty question; after silence it is given up."""
        self.outcome = "timeout"
        try:
            if question:
                self.talk.send(question)
            else:
                self.talk.shutdown(socket.SHUT_WR)
            self.settle()
            self.said = self.talk.recv(65536)
            self.outcome = "open" if self.said else "closed"
            self.talk.setsockopt(socket.IPPROTO_TCP, TCP_QUICKACK, 1)      # the answer is confirmed now
        except BlockingIOError:
            pass
        except OSError:
            self.outcome = "cut"
        finally:
            if self.outcome == "closed":
                self.talk.close()
            elif self.outcome != "open":
                vanish(self.talk)

    def ask_quickly(self, question: bytes, pump: Callable[[], bool]) -> None:
        """The same without a pause between the steps, as long as all goes well."""
        try:
            self.talk.connect_ex(self.target)
            for _ in range(QUICK):
                if self._connected():
                    break
                pump()
            else:
                self.settle()
            if not self._connected():
                self.outcome = _OUTCOMES.get(self.talk.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "timeout")
                return
            self.talk.send(question)
            for _ in range(QUICK):
                pump()
                try:
                    self.said = self.talk.recv(65536)
                    self.outcome = "answered"
                    break
                except BlockingIOError:
                    continue
        except OSError:
            self.outcome = "refused"
        finally:
            self.talk.close()
            pump()

    def _connected(self) -> bool:
        try:
            self.talk.getpeername()
        except OSError:
            return False
        return True

    def _close(self) -> None:
        try:
            ended = self.outcome == "answered" and self.talk.recv(1) == b""
        except OSError:
            ended = False
        self.talk.close() if ended else vanish(self.talk)


_OUTCOMES = {111: "refused", 113: "unreachable", 101: "unreachable", 110: "timeout"}
