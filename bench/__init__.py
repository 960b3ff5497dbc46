"""`make bench`: what a session carries, beside a raw port-forward and the cluster itself, measured in one run.

    .venv/bin/python -m bench --json build/bench.json
    .venv-bench/bin/python -m bench.plot build/bench.json docs/performance.png

All paths run the same load program (bench/load) against the same pods, one after another within each measure, so that
what else the machine does falls on all of them alike.
"""
