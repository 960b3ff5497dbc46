"""Row 36: what a dead session has left is found by its labels alone, and goes."""

from __future__ import annotations

from pathlib import Path

from tests.e2e import host
from tests.e2e.launcher import CLIENTS, Launcher, state_directory, wait_for

PROGRAM = ("--image", CLIENTS, "--", "sh", "-c", "echo ready; exec sleep 300")
GRACE = 60  # seconds until the pod would go by itself: long behind the end of the test
GONE_WITHIN = 5  # seconds from the end of cleanup until Kubernetes has removed what the Job owned


def test_row_36_cleanup_without_a_record_finds_all_by_labels(tpbox: Launcher, tmp_path: Path) -> None:
    with tpbox.start("--grace", str(GRACE), "--like", "deploy/web", "--volumes", "copy", *PROGRAM) as running:
        running.wait_output(b"ready")
        running.kill(with_watchdog=True)
    session = running.session
    for file in (state_directory() / "sessions").glob(f"{session}.*"):
        file.unlink()
    assert any(line.startswith("Pod ") for line in host.in_cluster({session}))
    cleanup = ("cleanup", "--kubeconfig", host.kubeconfig())
    elsewhere = {"XDG_STATE_HOME": str(tmp_path)}  # as another machine has it: nothing of any session in it

    seen = tpbox(*cleanup, "--dry-run", env=elsewhere).ok().text
    [line] = [line for line in seen.splitlines() if line.startswith(f"would remove session {session}: ")]
    for what in (f"container tpbox-{session}-app", f"volume tpbox-{session}-v0",
                 f"Job tpbox-{session} in namespace {tpbox.namespace}"):  # fmt: skip
        assert what in line

    # Only this one: to a machine without records every session of this user is a dead one.
    done = tpbox(*cleanup, "--session", session, env=elsewhere).ok()
    assert done.text.startswith(f"removing session {session}: ")
    assert done.stderr == ""
    wait_for("everything gone", lambda: not host.inventory({session}), GONE_WITHIN)
    assert "there is no session" in tpbox(*cleanup, "--session", session, env=elsewhere).stderr
