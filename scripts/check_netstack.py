"""Lint and tests of the exact engine's programs (netstack/), in a container: nothing of Go is needed on the host.

    .venv/bin/python scripts/check_netstack.py lint     # gofmt, go vet, staticcheck
    .venv/bin/python scripts/check_netstack.py test     # unit tests, with the race detector
    .venv/bin/python scripts/check_netstack.py fuzz     # every fuzz target for FUZZ_SECONDS

The image is the stage `tools` of netstack/Dockerfile, with the sources in it. The container has no network but its
loopback, and goes with the tool. The exit code is that of the first tool that failed.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tpbox.errors import TpboxError
from tpbox.local import images
from tpbox.local.docker import Docker

FOLDER = Path(__file__).resolve().parent.parent / "netstack"
REPOSITORY = "tpbox-netstack-tools"
FUZZ_SECONDS = 30
TEST_TIMEOUT = 300  # seconds for a package; the slowest takes ten on an idle machine
FUZZ_FUNCTION = re.compile(r"^func (Fuzz\w+)\(", re.MULTILINE)
# gofmt shows what it would change, and ends with 0 all the same.
GOFMT = ["sh", "-c", 'changes=$(gofmt -d .) || exit; [ -z "$changes" ] || { echo "$changes"; exit 1; }']
LINT = [GOFMT, ["go", "vet", "./..."], ["go", "tool", "staticcheck", "./..."]]
TEST = [["go", "test", "-race", f"-timeout={TEST_TIMEOUT}s", "./..."]]


def fuzz_targets(folder: Path) -> list[tuple[str, str]]:
    """The package, as `go test` takes it, and the function of each fuzz target."""
    return [
        (f"./{file.parent.relative_to(folder)}", name)
        for file in sorted(folder.rglob("*_test.go"))
        for name in FUZZ_FUNCTION.findall(file.read_text())
    ]


def fuzz(targets: Sequence[tuple[str, str]], seconds: int) -> list[list[str]]:
    """The commands that run each target by itself, as `go test -fuzz` wants it."""
    return [["go", "test", "-run=^$", f"-fuzz=^{name}$", f"-fuzztime={seconds}s", package] for package, name in targets]


def container(image: str, command: Iterable[str]) -> list[str]:
    """The command line that runs a tool. `--init`, so that Ctrl-C ends it, whereupon `--rm` removes it.

    The container's loopback has IPv6 then, and lets everybody send echoes: there is a test for each.
    """
    sysctls = ["net.ipv6.conf.all.disable_ipv6=0", "net.ipv4.ping_group_range=0 2147483647"]
    options = ["--rm", "--init", "--network=none", *(f"--sysctl={one}" for one in sysctls)]
    return ["docker", "run", *options, image, *command]


def run(image: str, commands: Iterable[Sequence[str]]) -> int:
    """Runs the tools until one fails, their words on the terminal; returns its exit code, else 0."""
    for command in commands:
        print(f"netstack: {shlex.join(command)}", file=sys.stderr, flush=True)
        if code := subprocess.run(container(image, command), stdin=subprocess.DEVNULL, check=False).returncode:
            return code
    return 0


def main(arguments: Sequence[str]) -> int:
    kinds = {"lint": LINT, "test": TEST, "fuzz": fuzz(fuzz_targets(FOLDER), FUZZ_SECONDS)}
    if not arguments or not kinds.keys() >= set(arguments):
        print(f"check_netstack: say which of {', '.join(kinds)}", file=sys.stderr)
        return 2
    image = images.ensure(Docker.connect(), images.find(FOLDER.name, REPOSITORY, "tools"), progress)
    return run(image, (command for kind in arguments for command in kinds[kind]))


def progress(line: str) -> None:
    """Says that an image is being built, which takes minutes the first time, and none of what the build prints."""
    if line.startswith("building "):
        print(f"netstack: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except TpboxError as error:
        sys.exit("\n".join(error.lines()))
