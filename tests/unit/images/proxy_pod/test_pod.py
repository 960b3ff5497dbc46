from __future__ import annotations

import json
import socket
from pathlib import Path

from agent import pod

# Of a container of a Pod, as containerd and kubelet mount it; shortened.
MOUNTINFO = r"""
612 469 0:93 / / ro,relatime - overlay overlay rw,lowerdir=/a:/b
613 612 0:95 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
614 612 0:96 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
615 614 0:97 / /dev/pts rw,nosuid,noexec,relatime - devpts devpts rw
617 612 0:90 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
618 617 0:31 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw
619 612 0:88 / /.tpbox rw,relatime - tmpfs tmpfs rw
620 612 8:1 /var/lib/kubelet/pods/u/etc-hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw
621 614 8:1 /var/lib/kubelet/pods/u/containers/c /dev/termination-log rw,relatime - ext4 /dev/sda1 rw
622 612 8:1 /sandboxes/s/hostname /etc/hostname ro,relatime - ext4 /dev/sda1 rw
623 612 8:1 /sandboxes/s/resolv.conf /etc/resolv.conf ro,relatime - ext4 /dev/sda1 rw
624 614 0:89 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw
625 612 0:84 / /run/secrets/kubernetes.io/serviceaccount ro,relatime - tmpfs tmpfs rw
626 612 0:85 / /data/with\040space rw,relatime shared:5 - tmpfs tmpfs rw
627 612 0:86 / /etc/secret ro,relatime - tmpfs tmpfs rw
628 612 8:1 /volumes/x /development rw,relatime - ext4 /dev/sda1 ro
629 613 0:95 /sys /proc/sys ro,relatime - proc proc rw
""".strip()


def test_volume_mounts_are_what_kubelet_mounted_for_the_manifest() -> None:
    assert [(mount["path"], mount["readOnly"]) for mount in pod.volume_mounts(MOUNTINFO)] == [
        ("/data/with space", False),
        ("/development", False),
        ("/etc/secret", True),
        ("/run/secrets/kubernetes.io/serviceaccount", True),
    ]


def test_a_mount_has_the_manifest_s_path_the_real_one_and_its_kind(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "token").touch()
    (tmp_path / "var").symlink_to("run")
    real, declared = f"{tmp_path}/run/token", f"{tmp_path}/var/token"
    line = f"1 2 0:1 / {real} ro,relatime - tmpfs tmpfs rw"
    assert pod.volume_mounts(line, [declared]) == [
        {"path": declared, "realPath": real, "readOnly": True, "kind": "file"}
    ]


def test_of_two_mounts_at_one_place_the_upper_counts() -> None:
    lower = "1 2 0:1 / /data rw,relatime - tmpfs tmpfs rw"
    upper = "2 1 0:2 / /data ro,relatime - tmpfs tmpfs rw"
    assert pod.volume_mounts(f"{lower}\n{upper}") == [
        {"path": "/data", "realPath": "/data", "readOnly": True, "kind": "directory"}
    ]


def test_an_environment_block_is_read_as_it_stands() -> None:
    block = b"A=1\0EMPTY=\0LINES=a\nb=c\0\0novalue\0BYTES=\xff\0"
    assert pod.parse_environment(block) == {"A": "1", "EMPTY": "", "LINES": "a\nb=c", "BYTES": "\udcff"}


def test_the_workload_s_environment_is_all_but_the_runtime_s_and_ours() -> None:
    environment = {
        "PATH": "/bin",
        "HOME": "/",
        "HOSTNAME": "tpbox-abcdefgh",
        "TPBOX_GRACE": "30",
        "GREETING": "hi",
        "LD_PRELOAD": "x.so",
        "WEB_SERVICE_HOST": "10.96.0.1",
    }
    assert pod.workload_environment(environment) == {
        "GREETING": "hi",
        "LD_PRELOAD": "x.so",
        "WEB_SERVICE_HOST": "10.96.0.1",
    }


def test_info_is_the_contract_s() -> None:
    found = pod.info({"GREETING": "hi", "PATH": "/bin"}, ["10.244.0.7", "fd00::7"])
    assert list(found) == ["environment", "hostname", "podIP", "podIPs", "resolvConf", "hosts", "mounts"]
    assert (found["environment"], found["hostname"], found["podIP"]) == (
        {"GREETING": "hi"},
        socket.gethostname(),
        "10.244.0.7",
    )
    assert found["podIPs"] == ["10.244.0.7", "fd00::7"]
    assert json.loads(json.dumps(found)) == found
