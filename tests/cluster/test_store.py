"""The store and its watches: every change once and in order; what is too old is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8slab.cluster import ApiError, Cluster, Event
from k8slab.cluster.clock import Clock
from k8slab.cluster.kinds import CONFIG_MAP
from k8slab.cluster.store import Clash, Compacted, Store

KEYS = st.sampled_from(["/a/1", "/a/2", "/a/10", "/b/1"])
CHANGES = st.lists(st.tuples(st.sampled_from(["put", "delete"]), KEYS), max_size=30)


def make(store: Store, changes: list[tuple[str, str]]) -> None:
    for number, (what, key) in enumerate(changes):
        if what == "put":
            store.put(key, {"n": number})
        else:
            store.delete(key)


@given(CHANGES, CHANGES)
def test_a_late_watch_and_an_early_one_have_heard_the_same(first: list, then: list) -> None:
    store = Store(Clock())
    heard: list = []
    store.watch("/a/", heard.append)
    make(store, first)
    middle = store.revision
    make(store, then)
    assert store.history("/a/", 0) == heard
    assert store.history("/a/", middle) == [one for one in heard if one.revision > middle]
    assert [one.revision for one in heard] == sorted({one.revision for one in heard})


@given(CHANGES)
def test_what_was_heard_adds_up_to_what_is_there(changes: list) -> None:
    store, there = Store(Clock()), {}
    store.watch("/", lambda one: there.update({one.key: one.entry}) if one.entry else there.pop(one.key))
    make(store, changes)
    assert store.range("/") == [there[key] for key in sorted(there)]
    assert store.range("/a/1") == [there[key] for key in ("/a/1", "/a/10") if key in there]


@given(CHANGES, st.integers(0, 30))
def test_after_a_compaction_only_later_revisions_are_told(changes: list, revision: int) -> None:
    store = Store(Clock())
    make(store, changes)
    whole, there = store.history("/", 0), store.range("/")
    store.compact(revision)
    assert store.history("/", store.compacted) == [one for one in whole if one.revision > store.compacted]
    assert store.range("/") == there
    if store.compacted:
        with pytest.raises(Compacted):
            store.history("/", store.compacted - 1)


def test_a_write_on_an_old_revision_clashes() -> None:
    store = Store(Clock())
    entry = store.put("/a", {}, expected=0)
    store.put("/a", {}, expected=entry.modified)
    for call in (lambda: store.put("/a", {}, entry.modified), lambda: store.delete("/a", entry.modified),
                 lambda: store.put("/a", {}, 0)):
        with pytest.raises(Clash):
            call()


def test_a_key_runs_out_unless_it_is_written_anew() -> None:
    clock = Clock()
    store = Store(clock)
    store.put("/a", {}, ttl=15)
    clock.advance(10)
    store.put("/a", {}, ttl=15)
    clock.advance(14.9)
    assert store.get("/a")
    clock.advance(0.1)
    assert store.get("/a") is None


def config(name: str, value: str = "") -> dict:
    return {"kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": value}}


@given(st.lists(st.tuples(st.sampled_from(["create", "update", "delete"]), st.sampled_from("abc"),
                          st.sampled_from("xyz")), max_size=15), st.integers(0, 15))
def test_a_watch_of_the_api_tells_each_change_once_and_in_order(deeds: list, late: int) -> None:
    """Wherever a watch begins, at a revision that it was given: a change that changes nothing is none."""
    cluster = Cluster(dns=False, kubelets=False)
    client = cluster.client("test")
    revisions = [cluster.store.revision]
    heard: list[Event] = []
    client.watch(CONFIG_MAP, heard.append, "default", revisions[0])
    for what, name, value in deeds:
        try:
            if what == "delete":
                client.delete(CONFIG_MAP, "default", name)
            else:
                getattr(client, what)(config(name, value), CONFIG_MAP, "default")
        except ApiError as error:
            assert error.code in (404, 409)
        revisions.append(cluster.store.revision)
    late_heard: list[Event] = []
    since = revisions[min(late, len(revisions) - 1)]
    client.watch(CONFIG_MAP, late_heard.append, "default", since)
    cluster.clock.run()
    versions = [int(one.obj["metadata"]["resourceVersion"]) for one in heard]
    assert versions == sorted(set(versions))
    assert versions == sorted(set(revisions) - {revisions[0]})
    assert late_heard == [one for one, version in zip(heard, versions, strict=True) if version > since]


def test_a_watch_from_a_version_too_old_is_gone_and_one_from_the_future_waits_in_vain() -> None:
    cluster = Cluster(dns=False)
    client = cluster.client("test")
    cluster.advance(900)
    with pytest.raises(ApiError, match="too old resource version: 1 ") as gone:
        client.watch(CONFIG_MAP, print, since=1)
    assert (gone.value.code, gone.value.reason) == (410, "Expired")
    with pytest.raises(ApiError, match="Too large resource version"):
        client.watch(CONFIG_MAP, print, since=10**9)


def test_of_two_writers_the_second_is_told() -> None:
    cluster = Cluster(dns=False)
    one, other = cluster.client("one"), cluster.client("other")
    one.create(config("a"), CONFIG_MAP, "default")
    first, second = (each.get(CONFIG_MAP, "default", "a") for each in (one, other))
    first["data"], second["data"] = {"key": "1"}, {"key": "2"}
    one.update(first, CONFIG_MAP, "default")
    with pytest.raises(ApiError, match="the object has been modified") as conflict:
        other.update(second, CONFIG_MAP, "default")
    assert conflict.value.status()["code"] == 409


def test_followers_hear_on_when_a_server_is_back() -> None:
    cluster = Cluster(2, dns=False)
    heard: list[str] = []
    first, second = cluster.api_servers.values()
    first.crash()
    second.crash()
    cluster.subscribe("cm", lambda event: heard.append(event.type))
    cluster.advance(5)
    assert heard == []
    first.start()
    cluster.advance(2)
    assert heard == ["ADDED"] * 4


def test_what_was_not_told_before_the_servers_died_is_told_when_one_is_back() -> None:
    cluster = Cluster(dns=False)
    server = cluster.api_servers["k8smaster"]
    heard: list[str] = []
    cluster.subscribe("cm", lambda event: heard.append(event.obj["metadata"]["name"]))
    cluster.clock.run()
    heard.clear()
    cluster.client("test").create(config("a"), CONFIG_MAP, "default")
    server.crash()
    cluster.advance(5)
    assert heard == []
    server.start()
    cluster.advance(1)
    assert heard == ["a"]
