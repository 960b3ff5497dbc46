"""Sets up what the demo and the tests need. Each step is skipped when it is done.

python3 scripts/setup.py                         # all steps
python3 scripts/setup.py docker base-image       # only these

Runs on a bare python3, so it imports the standard library only. Where it may (Debian, as root) it installs what
is missing; elsewhere it says what is, and how to get it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / "tpbox-setup"
BASE = "debian:trixie-slim"
DOCKERD_WITHIN = 30  # seconds; it takes 3 to 6
DOCKER_PACKAGES = ("docker.io", "iptables", "iproute2")
PLUGINS = ("compose", "buildx")  # Compose builds images with the other one
OLDEST_COMPOSE = (2, 20)


class SetupError(Exception):
    """Set-up cannot go on; the text says what to do."""


def environment() -> str:
    """The virtual environment: what requirements.lock names, and tpbox itself, editable."""
    wanted = stamp((ROOT / "requirements.lock", ROOT / "pyproject.toml"))
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return "there"
    if not VENV_PYTHON.exists():
        make_venv()
    pip = [str(VENV_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, "--require-hashes", "--requirement", str(ROOT / "requirements.lock"))
    run(*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    STAMP.write_text(wanted)
    return "installed"


def make_venv() -> None:
    try:
        run(sys.executable, "-m", "venv", str(VENV))
    except SetupError:
        if not may_install():
            raise
        shutil.rmtree(VENV, ignore_errors=True)
        install("python3-venv")  # Debian ships venv without pip
        run(sys.executable, "-m", "venv", str(VENV))


def stamp(files: tuple[Path, ...]) -> str:
    """A digest of the files' contents and of this Python's version."""
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def docker() -> str:
    """A Docker engine that answers."""
    if docker_answers():
        return "answers"
    if os.environ.get("DOCKER_HOST"):
        raise SetupError(f"no Docker engine answers at DOCKER_HOST={os.environ['DOCKER_HOST']}")
    if not may_install():
        raise SetupError(
            "no Docker engine answers. Install Docker (https://docs.docker.com/get-docker/) and start it,\n"
            "for instance: sudo apt-get install docker.io && sudo systemctl start docker"
        )
    if not (shutil.which("dockerd") and shutil.which("docker")):
        install(*DOCKER_PACKAGES)
    if docker_answers():  # the package has started it
        return "installed"
    if Path("/run/systemd/system").is_dir():
        run("systemctl", "start", "docker")
    else:
        start_dockerd()
    return "started"


def docker_answers() -> bool:
    try:
        asked = subprocess.run(["docker", "version"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return asked.returncode == 0


def start_dockerd() -> None:
    """Starts the engine detached where no service manager does; its log lies in the state directory."""
    log = state_directory(os.environ) / "dockerd.log"
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with log.open("ab") as output:
        daemon = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/"
        )
    end = time.monotonic() + DOCKERD_WITHIN
    while not docker_answers():
        if daemon.poll() is not None or time.monotonic() > end:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
            raise SetupError(f"dockerd does not answer; its log {log} ends with:\n{tail}")
        time.sleep(0.2)


def state_directory(environment: Mapping[str, str]) -> Path:
    """Where tpbox keeps its state (tpbox/state.py, which cannot be imported yet)."""
    home = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "tpbox"


def base_image() -> str:
    """The image that all others are built on."""
    if succeeds("docker", "image", "inspect", BASE):
        return "there"
    if succeeds("docker", "pull", "--quiet", BASE):
        return "pulled"
    if not may_install():
        raise SetupError(
            f"{BASE} cannot be pulled. On a machine that can: docker save {BASE} -o base.tar;\n"
            "then here: docker load -i base.tar"
        )
    if not shutil.which("mmdebstrap"):
        install("mmdebstrap")
    with tempfile.TemporaryDirectory() as folder:
        archive = str(Path(folder) / "base.tar")
        run("mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates", "trixie", archive)
        run("docker", "import", archive, BASE)
    return "made with mmdebstrap"


def compose() -> str:
    """Docker's plugins compose and buildx, out of the base image's own suite: older Debians have none that will do, and
    the machine's package sources stay as they are."""
    missing = [name for name in PLUGINS if not plugin_will_do(name)]
    if not missing:
        return "there"
    if not may_install():
        raise SetupError(
            f"docker {' and docker '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing or too old "
            f"(Compose: {'.'.join(map(str, OLDEST_COMPOSE))}). Install Docker's plugins\n"
            "(https://docs.docker.com/compose/install/), for instance: "
            f"sudo apt-get install {' '.join(f'docker-{name}' for name in missing)}"
        )
    fetch_plugins(missing)
    unfit = [name for name in missing if not plugin_will_do(name)]
    if unfit:
        raise SetupError(f"docker {unfit[0]} was installed into {plugins_directory(os.environ)} and does not run here")
    return f"installed {', '.join(missing)}"


def plugin_will_do(name: str) -> bool:
    """Whether `docker NAME` is there, and Compose new enough."""
    asked = subprocess.run(
        ["docker", name, "version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return asked.returncode == 0 and (name != "compose" or version_in(asked.stdout) >= OLDEST_COMPOSE)


def version_in(text: str) -> tuple[int, int]:
    """Major and minor of the first version in a program's words; (0, 0) without one."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def plugins_directory(environment: Mapping[str, str]) -> Path:
    """Where Docker looks for a user's own plugins."""
    home = environment.get("DOCKER_CONFIG") or str(Path.home() / ".docker")
    return Path(home) / "cli-plugins"


def fetch_plugins(names: Sequence[str]) -> None:
    """Unpacks Debian's packages in a container and copies the plugins, with their run bit, out of it."""
    packages = [f"docker-{name}" for name in names]
    say(f"fetching {' '.join(packages)}")
    folder = plugins_directory(os.environ)
    folder.mkdir(parents=True, exist_ok=True)
    script = (
        'apt-get update -qq && cd /tmp && apt-get download -qq "$@"'
        ' && for package in *.deb; do dpkg-deb -x "$package" /out; done'
    )
    proxies = [word for name in ("http_proxy", "https_proxy", "no_proxy") for word in ("--env", name)]
    container = run("docker", "create", *proxies, BASE, "sh", "-ec", script, "sh", *packages)
    try:
        run("docker", "start", "--attach", container)
        for package in packages:
            run("docker", "cp", f"{container}:/out/usr/libexec/docker/cli-plugins/{package}", str(folder / package))
    finally:
        run("docker", "rm", "--force", container)


def images() -> str:
    """tpbox's own images and those of the examples."""
    return run(str(VENV_PYTHON), str(ROOT / "scripts" / "build_images.py"))


def cluster() -> str:
    """The embedded cluster."""
    run(str(VENV_PYTHON), "-m", "tpbox", "cluster", "up", shown=True)
    return "up"


def example_images() -> str:
    """The examples' images, in the cluster."""
    return run(str(VENV_PYTHON), str(ROOT / "scripts" / "build_images.py"), "--load")


def shellcheck() -> str:
    """What `make lint` checks shell scripts with."""
    if shutil.which("shellcheck"):
        return "there"
    if not may_install():
        raise SetupError("shellcheck is missing. Install it, for instance: sudo apt-get install shellcheck")
    install("shellcheck")
    return "installed"


STEPS: dict[str, Callable[[], str]] = {
    "environment": environment,
    "docker": docker,
    "base-image": base_image,
    "compose": compose,
    "images": images,
    "cluster": cluster,
    "example-images": example_images,
    "shellcheck": shellcheck,
}


def may_install() -> bool:
    """Whether packages can be installed here: a Debian-like system, as root."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(*packages: str) -> None:
    say(f"installing {' '.join(packages)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "-qq", env=quiet)
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages, env=quiet)


def succeeds(*argv: str) -> bool:
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def run(*argv: str, env: Mapping[str, str] | None = None, shown: bool = False) -> str:
    """Runs a program to its end and returns its last line of output; with `shown`, stderr goes to the terminal.

    Raises SetupError with the program's last words.
    """
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if shown else subprocess.STDOUT,
            text=True,
            errors="replace",
            env=env,
            cwd=ROOT,
            check=False,
        )
    except FileNotFoundError as error:
        raise SetupError(f"{argv[0]} is missing: install it") from error
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0:
        tail = "\n".join(lines[-8:])
        raise SetupError(f"`{' '.join(argv)}` ended with {done.returncode}\n{tail}".strip())
    return lines[-1] if lines else ""


def say(text: str) -> None:
    sys.stderr.write(f"setup: {text}\n")
    sys.stderr.flush()


def main(wanted: list[str]) -> int:
    """Runs the steps in their order, all or the wanted ones; returns the exit code."""
    unknown = [name for name in wanted if name not in STEPS]
    if unknown:
        say(f"there is no step {', '.join(unknown)}; steps: {', '.join(STEPS)}")
        return 2
    for name, step in STEPS.items():
        if wanted and name not in wanted:
            continue
        began = time.monotonic()
        try:
            result = step()
        except SetupError as error:
            say(f"{name} failed: {error}")
            return 1
        say(f"{name:<15}{result} ({time.monotonic() - began:.1f} s)")
    return 0


if __name__ == "__main__":
    if sys.version_info < OLDEST_PYTHON:
        sys.exit("setup: tpbox needs Python 3.11 or newer; this is %d.%d" % sys.version_info[:2])  # noqa: UP031
    sys.exit(main(sys.argv[1:]))
