"""Lists in pieces, and watches over HTTPS: what is told when, and to a client that drops, waits or does not read."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time

import pytest

from k8slab.cluster.http import watching
from k8slab.cluster.kinds import CONFIG_MAP
from tests.serve.served import Served
from tests.serve.test_http import SERVICES, make


class Watching:
    """A watch over a connection of its own: events as they come."""

    def __init__(self, served: Served, query: str, path: str = SERVICES) -> None:
        context = ssl.create_default_context(cadata=served.cluster.authority.pem)
        self.connection = http.client.HTTPSConnection("127.0.0.1", served.port, timeout=10, context=context)
        self.connection.request("GET", f"{path}?watch=true&{query}",
                                headers={"Authorization": f"Bearer {served.tokens.owner}"})
        self.answer = self.connection.getresponse()

    def next(self) -> tuple[str, str]:
        """The type of the next event, and its object's name; ("", "") at the end."""
        line = self.answer.readline()
        if not line:
            return "", ""
        event = json.loads(line)
        return event["type"], event["object"].get("metadata", {}).get("name", str(event["object"].get("code", "")))

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


def test_a_list_in_pieces_is_of_one_revision(served: Served) -> None:
    make(served, "a", "b", "c")
    status, first = served.ask("GET", f"{SERVICES}?limit=2")
    assert [one["metadata"]["name"] for one in first["items"]] == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 2
    served.ask("DELETE", f"{SERVICES}/c")
    make(served, "d")
    status, rest = served.ask("GET", f"{SERVICES}?limit=9&continue={first['metadata']['continue']}")
    assert [one["metadata"]["name"] for one in rest["items"]] == ["c", "kubernetes"]
    assert rest["metadata"] == {"resourceVersion": first["metadata"]["resourceVersion"]}
    served.cluster.store.compact(served.cluster.store.revision)
    status, gone = served.ask("GET", f"{SERVICES}?limit=9&continue={first['metadata']['continue']}")
    assert (status, gone["reason"]) == (410, "Expired")


def test_a_watch_goes_on_where_a_dropped_connection_ended(served: Served) -> None:
    made = make(served, "a")[0]
    first = Watching(served, f"resourceVersion={made['metadata']['resourceVersion']}")
    make(served, "b")
    line = json.loads(first.answer.readline())
    assert (line["type"], line["object"]["metadata"]["name"]) == ("ADDED", "b")
    first.connection.sock.shutdown(socket.SHUT_RDWR)
    first.close()
    make(served, "c")
    served.ask("DELETE", f"{SERVICES}/a")
    again = Watching(served, f"resourceVersion={line['object']['metadata']['resourceVersion']}")
    assert [again.next(), again.next()] == [("ADDED", "c"), ("DELETED", "a")]
    again.close()


def test_a_watch_from_too_long_ago_is_410_and_one_that_is_over_ends(served: Served) -> None:
    make(served, "a")
    served.cluster.store.compact(served.cluster.store.revision)
    old = Watching(served, "resourceVersion=2")
    assert [old.next(), old.next()] == [("ERROR", "410"), ("", "")]
    short = Watching(served, "timeoutSeconds=1")
    assert [short.next(), short.next(), short.next()] == [("ADDED", "a"), ("ADDED", "kubernetes"), ("", "")]


def test_initial_events_end_with_a_bookmark(served: Served) -> None:
    watch = Watching(served, "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true")
    assert watch.next() == ("ADDED", "kubernetes")
    event = json.loads(watch.answer.readline())
    assert event["type"] == "BOOKMARK" and event["object"]["kind"] == "Service"
    assert event["object"]["metadata"] == {"resourceVersion": str(served.cluster.store.revision),
                                           "annotations": {"k8s.io/initial-events-end": "true"}}
    watch.close()


def test_to_a_watch_with_a_selector_an_object_comes_and_goes_with_its_labels(served: Served) -> None:
    make(served, "a")
    watch = Watching(served, "labelSelector=app%3Db")
    merge = {"Content_Type": "application/merge-patch+json"}
    for value in ("b", "c"):
        served.ask("PATCH", f"{SERVICES}/a", {"metadata": {"labels": {"app": value}}}, **merge)
    assert [watch.next(), watch.next()] == [("ADDED", "a"), ("DELETED", "a")]
    watch.close()


def test_a_client_that_is_gone_leaves_no_watch(served: Served) -> None:
    before = len(served.cluster.store._watches)
    watch = Watching(served, "")
    assert watch.next() == ("ADDED", "kubernetes") and len(served.cluster.store._watches) == before + 1
    watch.close()
    for _ in range(1000):
        if len(served.cluster.store._watches) == before:
            break
        time.sleep(0.02)
    assert len(served.cluster.store._watches) == before


def test_a_client_that_does_not_read_is_left_behind(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "BEHIND", 20)
    before = len(served.cluster.store._watches)
    watch = Watching(served, "resourceVersion=1", "/api/v1/configmaps")
    assert watch.next()[0] == "ADDED"
    large = {"kind": "ConfigMap", "metadata": {"name": "large"}, "data": {"a": "x" * 500_000}}
    with served.lock:
        client = served.cluster.client("test")
        client.create(large, CONFIG_MAP, "default")
        for number in range(40):
            client.update({**large, "data": {"a": "x" * 500_000, "n": str(number)}}, CONFIG_MAP, "default")
    with pytest.raises((http.client.HTTPException, OSError)):
        while watch.next() != ("", ""):
            pass
        raise http.client.IncompleteRead(b"")
    assert len(served.cluster.store._watches) == before and served.ask("GET", SERVICES)[0] == 200
    watch.close()
