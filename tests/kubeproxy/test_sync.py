"""Full and partial syncs: what is written, what is deleted, when; and that the real iptables takes them."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from k8slab import iptables
from k8slab.kubeproxy import Config, Proxier, read_objects, saved, setup
from tests.iptables.real import inside, restore_and_save
from tests.kubeproxy.clusters import NODE, cluster, config, service, slices
from tests.kubeproxy.golden import CONFIG, objects


def test_a_partial_sync_writes_only_what_changed_and_deletes_what_is_gone() -> None:
    proxier, dns = Proxier(CONFIG), objects("02-dns")
    first = proxier.sync(read_objects(dns))
    assert first.full and first.reason == "the first sync" and not first.deleted
    same = proxier.sync(read_objects(dns), now=1)
    assert (same.full, same.reason, same.written, same.deleted) == (False, "nothing changed", frozenset(), frozenset())
    assert "KUBE-SEP" not in same.text and same.text.count("cluster IP") == 4  # the ways in are written each time
    without = [one for one in dns if one["metadata"]["namespace"] != "kube-system"]
    gone = proxier.sync(read_objects(without), now=2)
    assert len(gone.deleted) == 9 and not gone.written
    for chain in gone.deleted:
        assert f":{chain} - [0:0]\n" in gone.text and f"-X {chain}\n" in gone.text
    back = proxier.sync(read_objects(dns), now=3)
    assert back.written == gone.deleted and back.reason == "changed: kube-system/kube-dns" and not back.full


def test_a_sync_that_failed_and_an_hour_make_the_next_one_full() -> None:
    proxier, some = Proxier(CONFIG), read_objects(objects("02-dns"))
    proxier.sync(some)
    assert not proxier.sync(some, now=3599).full
    assert proxier.sync(some, now=3600).reason == "an hour since the last full sync"
    proxier.fail()
    assert proxier.sync(some, now=3601).reason == "the last sync failed" and not proxier.sync(some, now=3602).full
    assert proxier.sync(some, now=3603, full=True).reason == "asked for"


def test_a_large_cluster_has_no_hourly_sync_and_looks_for_stale_chains_each_half_minute() -> None:
    many = [
        {
            "kind": "EndpointSlice",
            "addressType": "IPv4",
            "ports": [{"port": 8080}],
            "metadata": {"name": "x-1", "labels": {"kubernetes.io/service-name": "x"}},
            "endpoints": [{"addresses": [f"10.244.{n // 250}.{n % 250 + 1}"]} for n in range(1001)],
        },
        {"kind": "Service", "metadata": {"name": "x"}, "spec": {"clusterIP": "10.96.7.7", "ports": [{"port": 80}]}},
    ]
    proxier = Proxier(CONFIG)
    proxier.sync(read_objects([*many, *objects("02-dns")]))
    without = read_objects([*many, *objects("01-kubernetes")])
    assert not proxier.sync(without, now=29).deleted and len(proxier.sync(without, now=30).deleted) == 9
    assert not proxier.sync(without, now=9999).full


def test_every_chain_that_a_rule_leads_to_is_made_and_every_chain_made_is_used() -> None:
    chance = random.Random(5)
    for _ in range(100):
        text = Proxier(config(chance)).sync(read_objects(cluster(chance))).text
        for table in text.split("*")[1:]:
            lines = table.splitlines()
            made = {line[1:].split()[0] for line in lines if line.startswith(":")}
            targets = {line.split(" -j ")[1].split()[0] for line in lines if " -j KUBE-" in line}
            assert targets <= made
            assert {chain for chain in made if chain.split("-")[1] in ("SVC", "SVL", "SEP", "EXT", "FW")} <= targets | {
                line.split()[1] for line in lines if line.startswith("-A KUBE-SVC-")
            }


def _sequence(chance: random.Random) -> list[list[dict]]:
    """A cluster that changes a few times: Services come, go, and get other endpoints."""
    items, states = cluster(chance), []
    for _ in range(4):
        states.append(list(items))
        services = [one for one in items if one["kind"] == "Service"]
        victim = chance.choice(services)
        names = victim["metadata"]["namespace"], victim["metadata"]["name"]
        own = [
            one
            for one in items
            if one["metadata"]["namespace"] == names[0] and one["metadata"]["name"].split("-")[0] == names[1]
        ]
        rest = [one for one in items if one not in own]
        change = chance.choice(("endpoints", "gone", "another"))
        if change == "endpoints" and victim["spec"].get("ports"):
            items = [*rest, victim, *slices(chance, *names, victim["spec"]["ports"], Counter())]
        elif change == "gone" and len(services) > 1:
            items = rest
        else:
            items = [*rest, *service(chance, *names, 7, Counter())]
    return [*states, items]


@pytest.mark.parametrize("seed", range(30))
def test_partial_syncs_end_where_one_full_sync_does(seed: int) -> None:
    chance = random.Random(seed)
    states, one = _sequence(chance), config(chance)
    proxier = Proxier(one)
    rules = iptables.Ruleset().restore(setup(one), noflush=True)
    for now, state in enumerate(states):
        rules = rules.restore(proxier.sync(read_objects(state), now).text, noflush=True)
    assert str(rules.normal()) == saved(one, Proxier(one).sync(read_objects(states[-1])).text)


@pytest.mark.kernel
@pytest.mark.parametrize("seed", range(12))
def test_the_real_iptables_prints_our_save_form(seed: int) -> None:
    chance = random.Random(1000 + seed)
    one = config(chance)
    text = Proxier(one).sync(read_objects(cluster(chance))).text
    done = inside(
        f"iptables-restore --noflush <<'SETUP' && iptables-restore --noflush --counters && "
        f"iptables-save\n{setup(one)}SETUP\n",
        text,
    )
    assert done.returncode == 0, done.stderr
    real = "".join(f"{line}\n" for line in done.stdout.splitlines() if not line.startswith("#"))
    assert real == saved(one, text)


@pytest.mark.kernel
@pytest.mark.parametrize("seed", range(6))
def test_partial_syncs_leave_the_real_kernel_with_the_rules_of_one_full_sync(seed: int) -> None:
    chance = random.Random(2000 + seed)
    states, one = _sequence(chance), Config(NODE)
    proxier, script = Proxier(one), f"iptables-restore --noflush <<'TEXT' || exit 1\n{setup(one)}TEXT\n"
    for now, state in enumerate(states):
        text = proxier.sync(read_objects(state), now).text
        script += f"iptables-restore --noflush --counters <<'TEXT' || exit 1\n{text}TEXT\n"
    done = inside(f"{script}iptables-save")
    assert done.returncode == 0, done.stderr
    real = "".join(f"{line}\n" for line in done.stdout.splitlines() if not line.startswith("#"))
    assert real == restore_and_save(saved(one, Proxier(one).sync(read_objects(states[-1])).text))
    assert real == saved(one, Proxier(one).sync(read_objects(states[-1])).text)
