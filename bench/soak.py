"""`make soak`: what is too long for `make test`. A connection that says nothing for 10 minutes, and beside it 1 GB each
way, its content compared.

.venv/bin/python -m bench.soak
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from bench import paths, target
from bench.target import BenchError
from tpbox.errors import TpboxError

IDLE = "600"  # seconds, row 23's
TRANSFER = "1000000000"  # bytes, row 23's


def main() -> int:
    try:
        paths.prepare()
        with (
            target.installed() as namespace,
            paths.session("soak", namespace) as started,
            ThreadPoolExecutor(1) as beside,
        ):
            path = started.path
            idle = beside.submit(path.load, "idle", "-addr", path.server, "-seconds", IDLE, limit=float(IDLE) + 30)
            for direction in ("up", "down"):
                print(direction, path.load(direction, "-addr", path.server, "-bytes", TRANSFER, limit=300), flush=True)
            print("idle", idle.result(), flush=True)
    except (BenchError, TpboxError) as error:
        print(f"soak: failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
