from __future__ import annotations

import pytest
from agent import settings
from agent.settings import Settings, SettingsError

KEY = "ssh-ed25519 AAAA tpbox"


def test_defaults() -> None:
    assert settings.parse({"TPBOX_AUTHORIZED_KEY": KEY + "\n"}) == Settings(
        session="",
        authorized_key=KEY,
        grace=30,
        ssh_port=20022,
        engine_port=0,
        pod_ips=(),
        mount_paths=(),
        listen=(),
        open=(),
    )


def test_all_that_may_be_set() -> None:
    environment = {
        "TPBOX_SESSION": "abcdefgh",
        "TPBOX_MOUNT_PATHS": "/a:/b",
        "TPBOX_AUTHORIZED_KEY": KEY,
        "TPBOX_GRACE": "5",
        "TPBOX_SSH_PORT": "2022",
        "TPBOX_ENGINE_PORT": "20023",
        "TPBOX_POD_IPS": "10.244.0.7,fd00::7",
        "TPBOX_LISTEN": "*:80 127.0.0.1:9000 [::1]:9000",
        "TPBOX_OPEN": " 127.0.0.1:5432\n",
    }
    assert settings.parse(environment) == Settings(
        session="abcdefgh",
        authorized_key=KEY,
        grace=5,
        ssh_port=2022,
        engine_port=20023,
        pod_ips=("10.244.0.7", "fd00::7"),
        mount_paths=("/a", "/b"),
        listen=("*:80", "127.0.0.1:9000", "[::1]:9000"),
        open=("127.0.0.1:5432",),
    )


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "TPBOX_AUTHORIZED_KEY: one authorized_keys line is needed"),
        ({"TPBOX_AUTHORIZED_KEY": f"{KEY}\n{KEY}"}, "TPBOX_AUTHORIZED_KEY: one"),
        (
            {"TPBOX_AUTHORIZED_KEY": KEY, "TPBOX_GRACE": "soon"},
            "TPBOX_GRACE: a whole number above 0 is needed, not 'soon'",
        ),
        ({"TPBOX_AUTHORIZED_KEY": KEY, "TPBOX_GRACE": "0"}, "TPBOX_GRACE"),
        ({"TPBOX_AUTHORIZED_KEY": KEY, "TPBOX_SSH_PORT": "-1"}, "TPBOX_SSH_PORT"),
        ({"TPBOX_AUTHORIZED_KEY": KEY, "TPBOX_ENGINE_PORT": "no"}, "TPBOX_ENGINE_PORT"),
        (
            {"TPBOX_AUTHORIZED_KEY": KEY, "TPBOX_LISTEN": "*:80 *:*"},
            r"TPBOX_LISTEN: ADDRESS:PORT is needed, not '\*:\*'",
        ),
        ({"TPBOX_AUTHORIZED_KEY": KEY, "TPBOX_OPEN": "db:5432"}, "TPBOX_OPEN: ADDRESS:PORT"),
        ({"TPBOX_AUTHORIZED_KEY": KEY, "TPBOX_OPEN": "127.0.0.1:0"}, "TPBOX_OPEN"),
    ],
)
def test_what_means_nothing_is_named(environment: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        settings.parse(environment)
