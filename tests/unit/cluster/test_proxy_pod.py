from __future__ import annotations

import threading
import time

import pytest

from tests.unit.cluster.fake import FakeCluster
from tpbox.cluster import proxy_pod
from tpbox.errors import PodError


def test_a_pod_whose_job_has_gone_is_not_waited_for() -> None:
    began = time.monotonic()
    with pytest.raises(PodError, match="Job has gone"):
        proxy_pod.wait_ready(FakeCluster().api, "shop", "abcdefgh", timeout=60, cancelled=threading.Event())
    assert time.monotonic() - began < 5
