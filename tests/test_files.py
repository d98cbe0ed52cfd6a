"""Files that are written whole, and what is left of those that were not."""

import pytest

from kgan._files import remove_unfinished

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize("name", ["gan.keras", "gan[1].keras", "a*b.keras"])
def test_what_is_left_of_one_file_is_removed(tmp_path, name):
    (tmp_path / f".0123abcd-{name}").touch()
    others = {name, ".0123abcd-other.keras", ".0123abcd-gan1.keras", ".0123abcd-acb.keras"}
    for other in others:
        (tmp_path / other).touch()
    remove_unfinished(tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == others
    remove_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {name}
