from __future__ import annotations

import re

import pytest

from tpbox import names


def test_a_session_id_is_eight_letters_and_new_each_time() -> None:
    made = {names.new_session_id() for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch("[a-z]{8}", one) for one in made)


@pytest.mark.parametrize("owner", ["ann@desk", "Ännchen Müller@desk", "@", "x" * 200 + "@host", "a..b@-c-"])
def test_any_owner_becomes_a_valid_label(owner: str) -> None:
    label = names.owner_label(owner)
    assert len(label) <= 63
    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?", label)


def test_owners_that_reduce_to_the_same_words_stay_apart() -> None:
    assert names.owner_label("a b@c") != names.owner_label("a.b@c")


def test_labels_of_the_cluster_have_no_session() -> None:
    assert names.labels(names.Role.CLUSTER) == {"app.kubernetes.io/managed-by": "tpbox", "tpbox.dev/role": "cluster"}
