from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.plan.test_session import plan
from tpbox.errors import DockerError, TunnelError
from tpbox.local import helper
from tpbox.plan.session import SessionPlan
from tpbox.plan.volumes import VolumeOptions

NO_TUN = 'error gathering device information while adding custom device "/dev/net/tun": no such file or directory'
NO_FUSE = NO_TUN.replace("/dev/net/tun", "/dev/fuse")


def asking(**options: object) -> SessionPlan:
    made = plan()
    return replace(made, request=replace(made.request, **options))  # type: ignore[arg-type]


def test_what_docker_refuses_by_name_goes_and_the_rest_stays() -> None:
    less = helper.with_less(plan(), NO_TUN)
    assert less and (less.engine, less.volumes.mode) == ("sshuttle", "live")
    less = helper.with_less(plan(), NO_FUSE)
    assert less and (less.engine, less.volumes.mode) == ("netstack", "copy")


def test_a_refusal_that_names_nothing_is_that_of_live_volumes_or_nobodys() -> None:
    less = helper.with_less(plan(), "operation not permitted")
    assert less and (less.engine, less.volumes.mode) == ("netstack", "copy")
    assert helper.with_less(less, "operation not permitted") is None


def test_a_sysctl_that_cannot_be_set_is_the_engines() -> None:
    less = helper.with_less(plan(), "open /proc/sys/net/ipv4/tcp_tw_reuse (net.ipv4.tcp_tw_reuse): no such file")
    assert less and less.engine == "sshuttle"


def test_what_was_asked_for_in_so_many_words_is_an_error() -> None:
    with pytest.raises(TunnelError, match="--engine netstack cannot work here"):
        helper.with_less(asking(engine="netstack"), NO_TUN)
    with pytest.raises(DockerError, match="--volume /data=live cannot work here"):
        helper.with_less(asking(volumes=VolumeOptions("auto", {"/data": "live"})), NO_FUSE)
    assert helper.with_less(asking(volumes=VolumeOptions("live")), NO_FUSE) is None
