"""Files that are written whole, and what is left of those that were not."""

import re

import pytest

from kgan._files import remove_unfinished, written_whole

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize("name", ["gan.keras", "gan[1].keras", "a*b.keras"])
def test_what_is_left_of_one_file_is_removed(tmp_path, name):
    (tmp_path / f".0123abcd-{name}").touch()
    others = {name, ".0123abcd-other.keras", ".0123abcd-gan1.keras", ".0123abcd-acb.keras"}
    for other in others:
        (tmp_path / other).touch()
    remove_unfinished(tmp_path, re.escape(name))
    assert {path.name for path in tmp_path.iterdir()} == others


@pytest.mark.parametrize("name", ["a.csv", "a1b2"])
def test_links_and_permissions_stay(tmp_path, name):
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / name, tmp_path / "link.csv"
    real.write_text("old")
    real.chmod(0o600)
    link.symlink_to(real)
    with written_whole(link) as temporary:
        assert temporary.suffix == ".csv"
        temporary.write_text("new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.rglob("*")) == [name, "link.csv", "real"]
