"""Rows 25, 29 and 30 for a new pod: who is in the cluster reaches the local process, and it reaches the host."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator

import pytest

from tests.e2e import inbound, shop
from tests.e2e.inbound import LOCAL, server
from tests.e2e.launcher import CLIENTS, Launcher, error_lines, wait_for

EACH_ENGINE = True


@pytest.mark.row(25)
@pytest.mark.parametrize(
    ("expose", "local", "url"),
    [("8080", 8080, "http://{name}:8080/"), ("9000:80", 9000, "http://{name}/")],
    ids=["same-port", "below-1024"],
)
def test_row_25_a_new_pod_with_expose_has_a_service_of_its_name(
    tpbox: Launcher, expose: str, local: int, url: str
) -> None:
    with tpbox.start("--expose", expose, *server(local)) as running:
        running.wait_output(b"listening")
        address = url.format(name=f"tpbox-{running.session}")
        wait_for("an answer", lambda: inbound.get(tpbox.namespace, address) == LOCAL, 20)
        running.interrupt()
        running.finish()


@pytest.mark.row(25)
def test_row_25_the_service_is_named_as_asked_and_gone_afterwards(tpbox: Launcher) -> None:
    with tpbox.start("--expose", "8080", "--as", "my-orders", *server(8080)) as running:
        wait_for("an answer", lambda: inbound.get(tpbox.namespace, "http://my-orders:8080/") == LOCAL, 40)
        running.interrupt()
        running.finish()
    wait_for("no Service", lambda: "my-orders" not in shop.kubectl("-n", tpbox.namespace, "get", "services"), 15)


@pytest.mark.row(25)
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_row_25_a_listener_on_any_address_is_reached(tpbox: Launcher, address: str) -> None:
    with tpbox.start("--expose", "8080", *server(8080, address=address)) as running:
        running.wait_output(b"listening")
        url = f"http://tpbox-{running.session}:8080/"
        wait_for("an answer", lambda: inbound.get(tpbox.namespace, url) == LOCAL, 20)
        running.interrupt()
        running.finish()


@pytest.mark.row(25)
def test_row_25_several_ports_at_once(tpbox: Launcher) -> None:
    script = "python3 -m http.server 8080 & exec python3 -m http.server 8081"
    words = ("--expose", "8080:80", "--expose", "8081", "--image", CLIENTS, "--", "sh", "-c", script)
    with tpbox.start(*words) as running:
        running.wait_phase("running")
        host_name = f"tpbox-{running.session}"
        for url in (f"http://{host_name}/", f"http://{host_name}:8081/"):
            wait_for("an answer", lambda url=url: "Directory listing" in inbound.get(tpbox.namespace, url), 20)  # type: ignore[misc]
        running.interrupt()
        running.finish()


def test_a_port_that_the_pod_refuses_ends_the_session_with_the_reason(tpbox: Launcher) -> None:
    # The sidecar of web has it, on one address only: that is enough.
    with tpbox.start("--swap", "web", "--from-pod", "9100", *server(9100, address="127.0.0.1")) as running:
        done = running.finish(60)
    assert done.code == 125, done.stderr
    assert "9100" in done.stderr
    assert len(error_lines(done.stderr)) <= 3, done.stderr
    assert inbound.replicas(tpbox.namespace, "deployment/web") == 2


@pytest.mark.row(27)
def test_row_27_the_pod_is_ready_exactly_while_the_process_listens(tpbox: Launcher) -> None:
    folder = tpbox.new_folder()
    script = (
        "until [ -e /w/go ]; do sleep 0.1; done; python3 -m http.server 8080 & "
        "until [ -e /w/stop ]; do sleep 0.1; done; kill $!; wait $!; "
        "until [ -e /w/end ]; do sleep 0.1; done; exit 7"
    )
    words = ("--expose", "8080", "-v", f"{folder}:/w", "--image", CLIENTS, "--", "sh", "-c", script)
    with tpbox.start(*words) as running:
        running.wait_phase("running")
        inbound.settle(3)
        assert not inbound.ready(tpbox.namespace, running.session)
        (folder / "go").touch()
        wait_for("Ready", lambda: inbound.ready(tpbox.namespace, running.session), 10)
        (folder / "stop").touch()
        wait_for("not Ready", lambda: not inbound.ready(tpbox.namespace, running.session), 10)
        (folder / "end").touch()
        assert running.finish().code == 7


@pytest.mark.row(30)
def test_row_30_the_process_reaches_a_program_on_the_host(tpbox: Launcher) -> None:
    with _served_on_the_host() as port:
        curl = "for n in 1 2 3; do curl -sS -m 5 http://127.0.0.1:5678/; echo; done"
        done = tpbox.run("--container-to-host", f"5678:{port}", "--image", CLIENTS, "--", "sh", "-c", curl).ok()
    assert done.text.split() == ["host", "host", "host"]


@pytest.mark.row(30)
def test_row_30_a_host_port_that_nobody_listens_on_is_said_and_reset(tpbox: Launcher) -> None:
    done = tpbox.run(
        "--container-to-host", "5678:1", "--image", CLIENTS, "--", "curl", "-sS", "-m", "5", "127.0.0.1:5678"
    )
    assert done.code == 56, done.stderr  # curl's "failure in receiving network data"
    assert "127.0.0.1:1" in done.stderr


@contextlib.contextmanager
def _served_on_the_host() -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"host")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield listening.server_port
        listening.shutdown()
