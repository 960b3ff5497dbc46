from __future__ import annotations

from tpbox.plan.environment import fit, left_out_words, of_process, transport


def test_the_pods_environment_comes_without_what_is_the_processs_own() -> None:
    pod = {"PATH": "/pod", "HOME": "/pod", "HOSTNAME": "pod", "DB_HOST": "db", "JSON": '{"a":\n1}'}
    assert of_process(pod, {"TPBOX_POD": "p"}, {}) == {"DB_HOST": "db", "JSON": '{"a":\n1}', "TPBOX_POD": "p"}


def test_the_users_own_variables_win() -> None:
    assert of_process({"A": "pod", "PATH": "/pod"}, {}, {"A": "mine", "PATH": "/mine"}) == {
        "A": "mine",
        "PATH": "/mine",
    }


def test_single_lines_go_by_file_and_the_others_by_name() -> None:
    packed = transport(
        {"A": "1", "EMPTY": "", "LINES": "a\nb", "odd name": "x", "RAW": "\udcff", "CR": "x\r", "#": "c"}
    )
    assert packed.file == "A=1\nEMPTY=\n"
    assert packed.by_name == {"LINES": "a\nb", "odd name": "x", "RAW": "\udcff", "CR": "x\r", "#": "c"}
    assert packed.dropped == ()


def test_a_value_too_long_for_a_line_goes_by_name_and_one_too_long_for_the_kernel_is_named() -> None:
    packed = transport({"LONG": "x" * 70_000, "TOO_LONG": "x" * 140_000, "DOCKER_HOST": "a\nb"})
    assert list(packed.by_name) == ["LONG"]
    assert packed.dropped == ("TOO_LONG", "DOCKER_HOST")


def test_a_transport_does_not_show_values() -> None:
    assert "hunter2" not in repr(transport({"PASSWORD": "hunter2", "KEY": "hunter2\n"}))


def test_what_is_excluded_is_the_pods_only() -> None:
    pod = {"DB_HOST": "db", "DB_PORT": "1", "WEB_HOST": "web"}
    assert of_process(pod, {"TPBOX_POD": "p"}, {"DB_PORT": "mine"}, exclude=("DB_*", "TPBOX_*")) == {
        "WEB_HOST": "web",
        "TPBOX_POD": "p",
        "DB_PORT": "mine",
    }


def _service(name: str) -> dict[str, str]:
    """What Kubernetes gives for a Service with one port."""
    return {
        f"{name}_SERVICE_HOST": "10.96.0.1",
        f"{name}_SERVICE_PORT": "80",
        f"{name}_SERVICE_PORT_HTTP": "80",
        f"{name}_PORT": "tcp://10.96.0.1:80",
        f"{name}_PORT_80_TCP": "tcp://10.96.0.1:80",
        f"{name}_PORT_80_TCP_PROTO": "tcp",
        f"{name}_PORT_80_TCP_PORT": "80",
        f"{name}_PORT_80_TCP_ADDR": "10.96.0.1",
    }


def _bytes(variables: dict[str, str]) -> int:
    return sum(len(f"{name}={value}\0") + 8 for name, value in variables.items())


def test_what_fits_is_all_there_in_its_order() -> None:
    variables = {"A": "1", **_service("WEB")}
    fitted = fit(variables, first=(), limit=_bytes(variables))
    assert list(fitted.environment.items()) == list(variables.items())
    assert fitted.left_out == ()
    assert left_out_words(fitted, len(variables)) == ""


def test_the_forms_of_docker_links_go_first_then_the_addresses_of_other_services() -> None:
    web, api = _service("WEB"), _service("KUBERNETES")
    variables = {**web, **api, "DB_PORT": "5432", "MINE": "1"}  # DB_PORT is nobody's Service
    links = [name for name in web if "_SERVICE_" not in name]
    addresses = [name for name in web if "_SERVICE_" in name]
    size = _bytes(variables)
    assert fit(variables, ("MINE",), size - 1).left_out == tuple(links)
    smaller = size - _bytes({name: web[name] for name in links}) - 1
    assert fit(variables, ("MINE",), smaller).left_out == (*addresses, *links)
    assert fit(variables, ("MINE",), _bytes({"MINE": "1", "DB_PORT": "5432"})).left_out == (*web, *api)
    assert dict(fit(variables, ("MINE",), _bytes({"MINE": "1"})).environment) == {"MINE": "1"}


def test_a_large_variable_without_room_does_not_keep_the_small_ones_out() -> None:
    fitted = fit({"LARGE": "x" * 100, "SMALL": "1"}, (), 50)
    assert (fitted.environment, fitted.left_out) == ({"SMALL": "1"}, ("LARGE",))


def test_what_is_left_out_is_counted_and_named_without_values() -> None:
    fitted = fit({f"V{n}": "hunter2" for n in range(5)}, (), 0)
    words = left_out_words(fitted, 5)
    assert words.startswith("5 of 5 environment variables are left out (V0, V1, V2, …)")
    assert "--env-exclude" in words
    assert "hunter2" not in words + repr(fitted)
