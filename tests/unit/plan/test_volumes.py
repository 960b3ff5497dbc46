from __future__ import annotations

from typing import Any

import pytest

from tpbox.errors import DockerError, TpboxError, UsageError
from tpbox.plan import volumes
from tpbox.plan.volumes import Mount, Mounted, VolumeOptions, Volumes, decide

TOKEN = Mount(volumes.TOKEN_PATH, "/run/secrets/kubernetes.io/serviceaccount", read_only=True)
DATA = Mount("/data", "/data", read_only=False)
FILE = Mount("/etc/app.conf", "/etc/app.conf", read_only=True, is_file=True)
MOUNTS = (TOKEN, DATA, FILE)
FORESEEN = tuple(mount.path for mount in MOUNTS)
ENGINE = {"SecurityOptions": ["name=seccomp,profile=default"], "OperatingSystem": "Debian", "KernelVersion": "6.1.0-9"}


def made(
    mode: volumes.Wanted = "auto", *own: str, refusal: str = "", paths: dict[str, volumes.Mode] | None = None
) -> Volumes:
    return decide("abcdefgh", VolumeOptions(mode, paths or {}), own, FORESEEN, refusal)


def test_docker_s_volumes_and_ours_are_told_apart_by_their_form() -> None:
    ours, dockers = volumes.parse_volumes(["/a:/b", "/data=copy", "cache:/c=d:ro", "./x=y:/z", "/anonymous", "/e/=off"])
    assert ours == {"/data": "copy", "/e": "off"}
    assert dockers == ("/a:/b", "cache:/c=d:ro", "./x=y:/z", "/anonymous")


@pytest.mark.parametrize("text", ["/data=fast", "/data="])
def test_an_unknown_mode_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="there is no mode") as caught:
        volumes.parse_volumes([text])
    assert "live, copy, off" in caught.value.hint


def test_the_users_own_targets_are_found_in_every_form() -> None:
    extra = (
        "--tmpfs",
        "/tmp:size=1m",
        "--memory",
        "1g",
        "--mount",
        'type=bind,src=/x,"dst=/a,b"',
        "--mount",
        "type=tmpfs,target=/t",
    )
    assert volumes.own_targets(("/s:/v", "/anonymous", "n:/w/:ro"), extra) == (
        "/v", "/anonymous", "/w", "/tmp", "/a,b", "/t",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "host", "has_fuse", "words"),
    [
        ({}, "unix:///var/run/docker.sock", True, ""),
        ({}, "ssh://other", True, "another machine"),
        ({"OperatingSystem": "Docker Desktop"}, "unix:///d", True, "Docker Desktop"),
        ({"SecurityOptions": ["name=rootless"]}, "unix:///d", True, "user namespace"),
        ({"SecurityOptions": ["name=userns"]}, "unix:///d", True, "user namespace"),
        ({}, "unix:///d", False, "/dev/fuse"),
        ({"KernelVersion": "5.4.0-1"}, "unix:///d", True, "5.12"),
        ({"KernelVersion": "5.12.3"}, "unix:///d", True, ""),
    ],
)
def test_where_live_can_work(changed: dict[str, Any], host: str, has_fuse: bool, words: str) -> None:
    found = volumes.cannot_be_live({**ENGINE, **changed}, host, has_fuse)
    assert words in found
    assert bool(found) == bool(words)


def test_auto_is_live_where_that_works_and_else_copy_with_the_reason() -> None:
    assert (made().mode, made().reason) == ("live", "")
    copying = made(refusal="no /dev/fuse")
    assert (copying.mode, copying.words(), copying.live) == ("copy", "copy (no /dev/fuse)", False)


@pytest.mark.parametrize("options", [VolumeOptions("live"), VolumeOptions("auto", {"/data": "live"})])
def test_live_in_so_many_words_is_refused_where_it_cannot_work(options: VolumeOptions) -> None:
    volumes.check_live(options, "")
    with pytest.raises(DockerError, match=r"cannot work here: no /dev/fuse") as caught:
        volumes.check_live(options, "no /dev/fuse")
    assert "copy" in caught.value.hint


def test_live_mounts_get_a_place_in_the_container_and_the_gate_in_front() -> None:
    seen = made().seen(MOUNTS)
    assert seen.container("myapp", {"Entrypoint": ["/run.sh"], "Cmd": ["serve"]}, "gate-1", None, ()) == Mounted(
        (
            "--mount", "type=tmpfs,dst=/data,tmpfs-mode=0755",
            "--mount", "type=bind,src=/dev/null,dst=/etc/app.conf,readonly",
            "--mount", "type=tmpfs,dst=/var/run/secrets/kubernetes.io/serviceaccount,tmpfs-mode=0755",
            "--mount", "type=volume,src=gate-1,dst=/.tpbox,volume-nocopy,readonly",
        ),
        ("3", "30", "myapp", "/run.sh", "serve"),
    )  # fmt: skip
    assert seen.to_take()[0] == {"source": "/run/tpbox/root/data", "target": "/data", "readOnly": False}
    assert seen.to_take()[2]["source"] == "/run/tpbox/root/run/secrets/kubernetes.io/serviceaccount"


def test_copies_are_docker_volumes_without_a_gate_and_files_come_later() -> None:
    planned = made("copy")
    assert planned.copies() == {
        volumes.TOKEN_PATH: "tpbox-abcdefgh-v0",
        "/data": "tpbox-abcdefgh-v1",
        "/etc/app.conf": "tpbox-abcdefgh-v2",
    }
    assert planned.configuration()["copies"]["/data"] == "/volumes/tpbox-abcdefgh-v1"
    seen = planned.seen(MOUNTS)
    assert seen.container("myapp", {"Cmd": ["serve"]}, "", None, ()) == Mounted(
        (
            "--mount", "type=volume,src=tpbox-abcdefgh-v1,dst=/data,volume-nocopy",
            "--mount", f"type=volume,src=tpbox-abcdefgh-v0,dst={volumes.TOKEN_PATH},volume-nocopy,readonly",
        )
    )  # fmt: skip
    assert any("stays on this machine" in words for words in seen.remarks())
    assert any("not refreshed" in words for words in seen.remarks())


def test_a_copy_that_nobody_foresaw_is_named() -> None:
    injected = Mount("/vault/secrets", "/vault/secrets", read_only=False)
    assert made("copy").seen((*MOUNTS, injected)).missed == ("/vault/secrets",)
    assert made("live").seen((*MOUNTS, injected)).missed == ()


def test_what_the_user_has_covered_stays_his() -> None:
    covered = made("auto", "/data", "/etc").seen(MOUNTS)
    assert covered.paths() == [volumes.TOKEN_PATH]
    assert covered.covered == ("/data", "/etc/app.conf")
    assert any("--volume /data=live" in words for words in covered.remarks())
    named = made("auto", "/data", paths={"/data": "live"}).seen(MOUNTS)
    assert DATA in named.live and named.covered == ()


def test_a_volume_with_something_of_the_users_within_is_copied() -> None:
    planned = made("auto", "/data/sub")
    assert planned.mode_of("/data") == "copy"
    assert planned.mode_of(volumes.TOKEN_PATH) == "live"


def test_off_and_single_modes() -> None:
    assert made("off").seen(MOUNTS).paths() == []
    assert made("off").seen(MOUNTS).environment() == {}
    mixed = made("off", paths={"/data": "copy", volumes.TOKEN_PATH: "live"})
    assert mixed.live
    assert mixed.seen(MOUNTS).paths() == ["/data", volumes.TOKEN_PATH]


def test_the_process_is_told_where_they_are() -> None:
    value = f"/data:/etc/app.conf:{volumes.TOKEN_PATH}"
    assert made().seen(MOUNTS).environment() == {
        "TPBOX_ROOT": "/", "TPBOX_MOUNTS": value, "TELEPRESENCE_ROOT": "/", "TELEPRESENCE_MOUNTS": value,
    }  # fmt: skip


def test_a_path_that_the_pod_does_not_have_is_an_error_with_those_that_it_has() -> None:
    with pytest.raises(TpboxError, match="no volume at /nowhere") as caught:
        made(paths={"/nowhere": "copy"}).seen(MOUNTS)
    assert (caught.value.exit_code, caught.value.hint) == (125, f"It has: {', '.join(sorted(FORESEEN))}")


@pytest.mark.parametrize(
    ("entrypoint", "command", "expected"),
    [
        (None, (), ("/run.sh", "--port", "80")),
        (None, ("shell",), ("/run.sh", "shell")),
        ("sh", (), ("sh",)),
        ("sh", ("-c", "x"), ("sh", "-c", "x")),
        ("", ("x",), ("x",)),
        ("", (), ()),
    ],
)
def test_programs_are_composed_as_docker_does(
    entrypoint: str | None, command: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    config = {"Entrypoint": ["/run.sh"], "Cmd": ["--port", "80"]}
    assert volumes.composed(entrypoint, command, config) == expected


def test_without_a_program_docker_says_so_itself() -> None:
    assert made().seen(MOUNTS).container("scratch", {"Entrypoint": None, "Cmd": None}, "g", None, ()).gated == ()
