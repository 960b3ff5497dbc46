"""Where a session is written down besides what is said, and the environment that its process gets.

environment = outputs.environment_of(pod_environment, identity, own, env_exclude, console.warn)
Outputs(write_env="app.env").write_environment(environment, console.warn)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tpbox.local import environment_file
from tpbox.plan import envfile, environment

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Outputs:
    """Where a session is written down, besides what is said."""

    events: str = ""
    report: str = ""
    write_env: str = ""
    write_env_json: str = ""
    on_environment: Callable[[Mapping[str, str]], None] = lambda _: None
    on_planned: Callable[[Mapping[str, Any]], None] = lambda _: None  # what Docker Compose is to make

    def write_environment(self, found: Mapping[str, str], warn: Warn) -> None:
        """To the files that were asked for; what they cannot say exactly is said. Raises TpboxError."""
        self.on_environment(found)
        for option, path, make in (
            ("--write-env", self.write_env, envfile.file),
            ("--write-env-json", self.write_env_json, envfile.json_file),
        ):
            if path:
                rendered = make(found)
                environment_file.write(option, path, rendered.text)
                for words in rendered.doubts():
                    warn(f"{option}: {words}")


def environment_of(
    of_pod: Mapping[str, str],
    identity: Mapping[str, str],
    own: Mapping[str, str],
    exclude: Sequence[str],
    warn: Warn,
) -> Mapping[str, str]:
    """What a process with its `own` variables gets; the user is told when that is not everything."""
    variables = environment.of_process(of_pod, identity, own, exclude)
    fitted = environment.fit(variables, first={*identity, *own})
    if words := environment.left_out_words(fitted, len(variables)):
        warn(words)
    return fitted.environment
