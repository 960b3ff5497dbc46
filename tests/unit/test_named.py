from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tpbox import named
from tpbox.errors import TpboxError, UsageError
from tpbox.named import NamedSession, Start

HOLDER = """
import sys
from tpbox.named import NamedSession
with NamedSession("dev").held():
    print("holding", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def dev() -> NamedSession:
    return NamedSession("dev")


def test_the_kernel_lets_go_however_the_holder_ends(dev: NamedSession) -> None:
    assert not dev.alive()
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline() == b"holding\n"
        assert dev.alive()
        assert dev.pid() == holder.pid
        assert [session.name for session in named.living()] == ["dev"]
        with pytest.raises(UsageError, match=f"is there already .pid {holder.pid}"), dev.held():
            pass
        dev.remove()
        assert dev.folder.exists()  # one that lives stays
        holder.kill()
    assert not dev.alive()
    assert dev.pid() == 0
    dev.remove()
    assert not dev.folder.exists()


def test_who_looks_sees_no_other_who_looks_and_is_in_nobodys_way(dev: NamedSession) -> None:
    dev.make_folder()
    ended = threading.Event()
    seen: list[bool] = []

    def look() -> None:
        while not ended.is_set():
            seen.append(dev.alive())

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        while len(seen) < 300:
            pass
        assert not any(seen)
        with dev.held():
            pass
    finally:
        ended.set()
        for looker in lookers:
            looker.join()


def test_a_lock_whose_folder_was_removed_is_no_lock(dev: NamedSession) -> None:
    with dev.held():
        for path in dev.folder.iterdir():
            path.unlink()
        dev.folder.rmdir()
        with NamedSession("dev").held():
            assert dev.alive()


def test_the_number_of_a_process_that_has_ended_is_nobodys(dev: NamedSession) -> None:
    dev.make_folder()
    for text in ("", "rubbish", f"{os.getpid()} 12345", "1"):
        (dev.folder / "pid").write_text(text)
        assert dev.pid() == 0, text


def test_how_it_was_started_comes_back_also_from_a_later_version(dev: NamedSession) -> None:
    dev.make_folder()
    start = Start(("up", "dev"), "/tmp", environment={"DOCKER_HOST": "unix:///d"})
    dev.save(start)
    assert (dev.folder / "start.json").stat().st_mode & 0o077 == 0
    assert dev.start() == start
    (dev.folder / "start.json").write_text(json.dumps({"words": ["up"], "folder": "/", "host": start.host, "new": 1}))
    assert dev.start() == Start(("up",), "/")
    for text in ("", "{", "[]", '{"words": 1}'):
        (dev.folder / "start.json").write_text(text)
        assert dev.start() is None


def test_where_it_lives_is_as_it_was_and_the_rest_of_the_environment_as_it_is() -> None:
    start = Start((), "/", environment={"DOCKER_HOST": "then", "KUBECONFIG": "/then"})
    now = {"DOCKER_HOST": "now", "DOCKER_CONTEXT": "now", "TPBOX_POD_IMAGE": "now", "HOME": "/now"}
    assert start.within(now) == {"DOCKER_HOST": "then", "KUBECONFIG": "/then", "HOME": "/now"}


def test_one_of_another_host_is_nobodys_to_judge(dev: NamedSession) -> None:
    dev.make_folder()
    dev.save(Start(("up", "dev"), "/", host="elsewhere"))
    with pytest.raises(TpboxError, match="runs on host elsewhere"):
        dev.alive()
    assert named.living() == named.ended() == []
    assert "Start it" in NamedSession("other").missing().hint


def test_what_has_ended_is_named_with_its_last_words(dev: NamedSession) -> None:
    dev.make_folder()
    dev.log.write_text("first\n12:00:00 tpbox: the last\n")
    error = dev.missing()
    assert (error.message, error.detail) == ("session 'dev' has ended", "12:00:00 tpbox: the last")
    assert "tpbox restart dev" in error.hint


def test_ended_are_those_that_were_started_and_are_not_composes(dev: NamedSession) -> None:
    dev.make_folder()
    assert named.ended() == []  # it begins just now
    dev.save(Start(("up", "dev"), "/"))
    composed = NamedSession("shop-web")
    composed.make_folder()
    composed.save(Start(("up", "shop-web"), "/"))
    composed.save_plan({"helper": {}})
    assert [session.name for session in named.ended()] == ["dev"]
    with dev.held():
        assert named.ended() == []


def test_a_log_begins_anew(dev: NamedSession, tmp_path: Path) -> None:
    dev.make_folder()
    dev.log.write_text("of an earlier one\n")
    code = "from tpbox.named import NamedSession; NamedSession('dev').take_log(); print('now')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(Path.cwd())})  # fmt: skip
    assert (done.stdout, dev.log.read_text()) == ("", "now\n")
