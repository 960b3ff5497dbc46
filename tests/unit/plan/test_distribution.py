from __future__ import annotations

import pytest

from tpbox.errors import UsageError
from tpbox.plan.distribution import load_command, pushed_name

IMAGE = "tpbox-proxy-pod:0123456789ab"


@pytest.mark.parametrize(
    ("context", "command"),
    [
        ("kind-dev", ["kind", "load", "docker-image", IMAGE, "--name", "dev"]),
        ("k3d-my-cluster", ["k3d", "image", "import", IMAGE, "--cluster", "my-cluster"]),
        ("minikube", ["minikube", "image", "load", IMAGE, "--profile", "minikube"]),
        ("minikube-two", ["minikube", "image", "load", IMAGE, "--profile", "minikube-two"]),
        ("kind-", None),
        ("production", None),
    ],
)
def test_each_local_cluster_has_its_own_tool(context: str, command: list[str] | None) -> None:
    assert load_command(context, IMAGE) == command


@pytest.mark.parametrize(
    ("repository", "name"),
    [
        ("registry.example.com/team/pod", "registry.example.com/team/pod:0123"),
        ("registry.example.com:5000/pod", "registry.example.com:5000/pod:0123"),
        ("ann/pod:v1", "ann/pod:v1"),
    ],
)
def test_a_repository_gets_the_images_tag_unless_it_brings_one(repository: str, name: str) -> None:
    assert pushed_name(repository, "0123") == name


@pytest.mark.parametrize("repository", ["", "UPPER/Case", "a//b", "a b", "a/b:", "--all-tags"])
def test_what_is_no_repository_is_refused(repository: str) -> None:
    with pytest.raises(UsageError, match="no repository"):
        pushed_name(repository, "0123")
