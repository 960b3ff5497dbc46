"""`make demo`: the main job on the embedded cluster, step by step. Each step shows its command line and what it prints.

Run by the virtual environment's Python, when set-up is done. Ends with the code of the first step that fails.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TPBOX = [sys.executable, "-m", "tpbox"]
PSQL = "PGPASSWORD=$POSTGRES_PASSWORD psql -h db -U $POSTGRES_USER -tc 'select version()' postgres"
RUN = ["run", "--context", "tpbox", "-n", "shop"]


@dataclass(frozen=True)
class Step:
    """One command of the demo, and the words that its output must have."""

    title: str
    arguments: tuple[str, ...]
    shows: str


STEPS = (
    Step("The embedded cluster", ("cluster", "status"), "state       up"),
    Step(
        "A program on this machine asks a service by its name in the cluster",
        (*RUN, "--image", "myapp", "--", "curl", "-sS", "http://web.shop.svc/hostname"),
        "web-",
    ),
    Step(
        "It has the environment of a workload's container, Secrets included",
        (*RUN, "--like", "deploy/web", "--image", "myapp", "--", "printenv", "LITERAL", "GREETING", "TOKEN"),
        "a plain value",
    ),
    Step(
        "The cluster sees it at the address of a pod",
        (
            *RUN,
            "--image",
            "myapp",
            "--",
            "sh",
            "-c",
            'echo "I am $(hostname -i)"; echo "web sees $(curl -sS http://web/client)"',
        ),
        "web sees 10.244.",
    ),
    Step(
        "A real client of a real database",
        (*RUN, "--like", "deploy/db", "--image", "tpbox-example-clients:1", "--", "sh", "-c", PSQL),
        "PostgreSQL",
    ),
    Step("Nothing is left", ("status",), "no sessions"),
)


def main() -> int:
    """Applies the example namespace, then runs each step. Returns 0, or the exit code of the step that failed."""
    _apply((ROOT / "examples" / "shop.yaml").read_bytes())
    for step in STEPS:
        print(f"\n\x1b[1m{step.title}\x1b[0m\n$ tpbox {shlex.join(step.arguments)}", flush=True)
        done = subprocess.run([*TPBOX, *step.arguments], stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout, end="", flush=True)
        if done.returncode or step.shows not in done.stdout:
            print(f"demo: this step failed (exit code {done.returncode})", file=sys.stderr)
            return done.returncode or 1
    print("\nNext: tpbox shell --context tpbox -n shop --image myapp")
    return 0


def _apply(manifests: bytes) -> None:
    kubectl = ["docker", "exec", "-i", "tpbox-cluster", "kubectl"]
    subprocess.run([*kubectl, "apply", "-f", "-"], input=manifests, stdout=subprocess.DEVNULL, check=True)
    for workload in ("deploy/web", "deploy/db", "sts/cache"):
        wait = ["-n", "shop", "rollout", "status", "--timeout=90s", workload]
        subprocess.run([*kubectl, *wait], stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    sys.exit(main())
