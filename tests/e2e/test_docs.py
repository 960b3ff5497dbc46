"""The examples that the README shows with a prompt (`$ tpbox …`) work as they are typed there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from tests.e2e.launcher import ROOT, Launcher
from tests.e2e.named import Named, named

README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"^    \$ tpbox (.*)$", README, re.MULTILINE)


def test_the_readme_shows_examples() -> None:
    assert len(EXAMPLES) >= 4


@pytest.fixture(scope="module")
def dev(tpbox: Launcher) -> Iterator[Named]:
    """Who is `dev` in the examples."""
    with named(tpbox) as session:
        yield session


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_of_the_readme_works(tpbox: Launcher, dev: Named, line: str) -> None:
    # The namespace of the tests is the example's under another name; HOME has no kubeconfig of the user's own.
    others = {"shop": tpbox.namespace, "dev": dev.name}
    words = [others.get(word, word) for word in shlex.split(line)]
    words = [word.replace("web.shop.svc", f"web.{tpbox.namespace}.svc") for word in words]
    context = ["--context", "tpbox"] if words[0] in ("run", "up") else []
    tpbox(words[0], *context, *words[1:]).ok()
