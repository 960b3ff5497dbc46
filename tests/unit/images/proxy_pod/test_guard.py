from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from agent import guard
from agent.guard import Guard, Keeper
from agent.kubernetes import Api, ApiError

from tests.unit.images.proxy_pod.cluster import GUARD, LEASE, RECORD, SCALE, SESSION, Cluster

RENEWALS = f"PATCH leases/tpbox-{SESSION}"
AWAY = ApiError("the API server 10.96.0.1:443 cannot be reached: refused")
EXPIRED = ApiError("Unauthorized (401)", 401)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "RENEWAL", 0.02)
    monkeypatch.setattr(guard, "RETRY", 0.01)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster()
    cluster.swapped(RECORD, "deployments/web")
    cluster.put(SCALE, spec={})
    monkeypatch.setattr(Api, "of_pod", lambda environment, ca, token: cluster)
    return cluster


@pytest.fixture
def keeper(cluster: Cluster) -> Keeper:
    return Keeper(SESSION, {})


def refuses(error: ApiError, times: int = 1000) -> Callable[[str, str], None]:
    left = iter(range(times))

    def before(method: str, path: str) -> None:
        if next(left, None) is not None:
            raise error

    return before


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


def test_a_guard_is_held_when_the_lease_could_be_renewed(cluster: Cluster, keeper: Keeper) -> None:
    assert asyncio.run(keeper.take(GUARD)) == ""
    renewed = datetime.fromisoformat(cluster.objects[LEASE]["spec"]["renewTime"])
    assert abs((datetime.now(UTC) - renewed).total_seconds()) < 60
    assert cluster.objects[LEASE]["spec"]["holderIdentity"] == SESSION


def test_a_refused_token_is_told(cluster: Cluster, keeper: Keeper) -> None:
    cluster.before = refuses(EXPIRED)
    assert asyncio.run(keeper.take(GUARD)) == "Unauthorized (401)"


def test_a_pod_that_does_not_know_the_server_says_so() -> None:
    assert "KUBERNETES_SERVICE_HOST" in asyncio.run(Keeper(SESSION, {}).take(GUARD))


def test_the_token_is_in_no_text() -> None:
    assert "TOKEN" not in repr(GUARD)


@pytest.mark.parametrize("broken", [{"token": 1}, {"record": None}])
def test_a_guard_that_is_none_is_refused(broken: dict[str, object]) -> None:
    whole = {"token": "", "ca": "", "namespace": "", "lease": "", "record": ""}
    assert Guard.parse(whole) == Guard("", "", "", "", "")
    with pytest.raises(TypeError):
        Guard.parse(whole | broken)


def test_micro_time() -> None:
    assert guard.micro_time(datetime(2026, 11, 23, 20, 15, tzinfo=UTC)) == "2026-11-23T20:15:00.000000Z"


def test_the_lease_is_renewed_while_a_client_is_heard(cluster: Cluster, keeper: Keeper) -> None:
    async def use() -> None:
        running = asyncio.create_task(keeper.run())
        keeper.beat()
        await asyncio.sleep(0.1)
        assert cluster.requests == []  # there is no guard yet
        await keeper.take(GUARD)
        for count in (2, 3):
            keeper.beat()
            await until(lambda count=count: cluster.requests.count(RENEWALS) == count)  # type: ignore[misc]
        await asyncio.sleep(0.1)
        assert cluster.requests.count(RENEWALS) == 3  # nobody was heard since
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(use())


def test_a_lease_that_cannot_be_renewed_is_said_once(
    cluster: Cluster, keeper: Keeper, capsys: pytest.CaptureFixture[str]
) -> None:
    async def use() -> None:
        await keeper.take(GUARD)
        running = asyncio.create_task(keeper.run())
        cluster.before = refuses(AWAY)
        while cluster.requests.count(RENEWALS) < 5:
            keeper.beat()
            await asyncio.sleep(0.005)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(use())
    assert capsys.readouterr().err == f"tpbox: the Lease cannot be renewed: {AWAY}\n"


def test_without_a_guard_or_a_record_nothing_is_restored(cluster: Cluster, keeper: Keeper) -> None:
    async def use() -> None:
        await keeper.restore()
        await keeper.take(replace(GUARD, record=""))
        await keeper.restore()

    asyncio.run(use())
    assert cluster.requests == [RENEWALS]


def restore(keeper: Keeper) -> None:
    async def use() -> None:
        await keeper.take(GUARD)
        await asyncio.wait_for(keeper.restore(), 5)

    asyncio.run(use())


def test_what_was_swapped_is_restored(cluster: Cluster, keeper: Keeper, capsys: pytest.CaptureFixture[str]) -> None:
    restore(keeper)
    assert cluster.objects[SCALE]["spec"] == {"replicas": 2}
    assert capsys.readouterr().err == "tpbox: deployments/web is scaled back to 2\n"


def test_a_server_that_is_away_is_asked_again(
    cluster: Cluster, keeper: Keeper, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.before = refuses(AWAY, times=4)  # the first is the renewal
    restore(keeper)
    assert RECORD not in cluster.objects
    assert capsys.readouterr().err.splitlines() == [
        f"tpbox: tpbox-swap-deployments-web cannot be restored yet: {AWAY}",
        "tpbox: deployments/web is scaled back to 2",
    ]


def test_an_expired_token_is_said(cluster: Cluster, keeper: Keeper, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.before = refuses(EXPIRED)
    restore(keeper)
    assert capsys.readouterr().err == "tpbox: tpbox-swap-deployments-web cannot be restored: Unauthorized (401)\n"


def test_a_lease_that_is_no_record_is_left_alone(
    cluster: Cluster, keeper: Keeper, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.put(RECORD, spec={"holderIdentity": SESSION})
    restore(keeper)
    assert "tpbox-swap-deployments-web is not a swap record" in capsys.readouterr().err
    assert RECORD in cluster.objects
