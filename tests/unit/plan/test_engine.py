from __future__ import annotations

import pytest

from tpbox.errors import TunnelError
from tpbox.plan import engine

UNIX = "unix:///var/run/docker.sock"


def test_the_exact_engine_unless_it_cannot_work_or_the_other_is_asked_for() -> None:
    assert engine.choose("auto", "") == engine.choose("netstack", "") == "netstack"
    assert engine.choose("auto", "no device") == engine.choose("sshuttle", "") == "sshuttle"


@pytest.mark.parametrize(
    ("info", "host", "has_tun", "refused"),
    [
        ({}, UNIX, True, False),
        ({}, UNIX, False, True),
        ({"OperatingSystem": "Docker Desktop"}, UNIX, False, False),
        ({}, "ssh://desk", False, False),
    ],
    ids=["here", "no device here", "a machine of its own", "another machine"],
)
def test_only_this_machines_devices_can_be_looked_at(
    info: dict[str, str], host: str, has_tun: bool, refused: bool
) -> None:
    assert bool(engine.cannot_be_exact(info, host, has_tun)) is refused


def test_what_was_asked_for_and_cannot_be_had_is_an_error_that_names_the_other() -> None:
    engine.check("auto", "no device")
    engine.check("netstack", "")
    with pytest.raises(TunnelError, match="--engine netstack cannot work here: no device") as raised:
        engine.check("netstack", "no device")
    assert "--engine sshuttle" in raised.value.hint


def test_the_choice_is_said_with_its_reason() -> None:
    assert engine.words("auto", "no device") == "engine sshuttle: no device"
    assert engine.words("sshuttle", "") == "engine sshuttle: as asked"
    assert engine.words("auto", "").startswith("engine netstack: ")
