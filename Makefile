# make setup       everything that demo and tests need: skipped where done
# make demo        the main job on the embedded cluster, step by step
# make test        lint and every test
# make bench       what a session carries, as a table, as build/bench.json and as docs/performance.png
PYTHON ?= python3
VENV := .venv/bin
CODE := tpbox images scripts tests bench
SCRIPTS := .ci/run cluster/node/files/usr/local/bin/entrypoint

.PHONY: setup base-image demo lint test test-faults test-unit bench soak clean

setup:
	$(PYTHON) scripts/setup.py

base-image:
	$(PYTHON) scripts/setup.py docker base-image

demo: setup
	$(VENV)/python scripts/demo.py

lint:
	$(PYTHON) scripts/setup.py environment docker base-image shellcheck
	$(VENV)/ruff check $(CODE)
	$(VENV)/ruff format --check $(CODE)
	$(VENV)/mypy tpbox scripts tests bench images/local
	$(VENV)/mypy images/proxy-pod
	$(VENV)/lint-imports
	shellcheck $(SCRIPTS)
	$(VENV)/python scripts/check_netstack.py lint

# Each fuzz target of the engine has 30 s.
test: setup lint
	$(VENV)/python scripts/check_netstack.py test fuzz
	$(VENV)/pytest --durations=10

# Every kill at every moment: about an hour and a half.
test-faults: setup
	$(VENV)/pytest tests/e2e/test_faults.py tests/e2e/test_swap_faults.py --all-faults

test-unit:
	$(PYTHON) scripts/setup.py environment
	$(VENV)/pytest tests/unit

bench: setup .venv-bench
	$(VENV)/python -m bench --json build/bench.json
	.venv-bench/bin/python -m bench.plot build/bench.json docs/performance.png

# Eleven minutes: an idle connection for ten of them, and 1 GB each way.
soak: setup
	$(VENV)/python -m bench.soak

.venv-bench: requirements-bench.lock
	$(PYTHON) -m venv $@
	$@/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

# The embedded cluster and images stay: `tpbox cluster down`, `docker image rm`.
clean:
	rm -rf .venv .venv-bench .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist
