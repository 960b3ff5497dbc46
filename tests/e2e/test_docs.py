"""The examples that the README shows with a prompt (`$ tpbox …`) work as they are typed there."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.e2e.launcher import ROOT, Launcher

README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"^    \$ tpbox (.*)$", README, re.MULTILINE)


def test_the_readme_shows_examples() -> None:
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_of_the_readme_works(tpbox: Launcher, line: str, tmp_path: object) -> None:
    # The namespace of the tests is the example's under another name; HOME has no kubeconfig of the user's own.
    words = [tpbox.namespace if word == "shop" else word for word in shlex.split(line)]
    words = [word.replace("web.shop.svc", f"web.{tpbox.namespace}.svc") for word in words]
    at = 1 if words[0] == "run" else len(words)
    tpbox(*words[:at], *(["--context", "tpbox"] if words[0] == "run" else []), *words[at:]).ok()
