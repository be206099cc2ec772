"""How the tests' folders are laid out."""

from __future__ import annotations

from tests.house.source import PACKAGE, ROOT

TESTS = ROOT / "tests"
# They prove what several rooms do together, or what the repository promises.
WITHOUT_ROOM = {"e2e", "examples", "house", "typing"}


def test_every_folder_is_a_package() -> None:
    """A helper is imported by its full name, which says where it is."""
    folders = {path.parent for path in TESTS.rglob("*.py")}

    assert set() == {
        str(path) for path in folders if not (path / "__init__.py").exists()
    }


def test_folders_mirror_rooms() -> None:
    """The tests of a room are in the folder of the room's name."""
    folders = {
        path.parent.relative_to(TESTS)
        for path in TESTS.rglob("test_*.py")
        if path.relative_to(TESTS).parts[0] not in WITHOUT_ROOM
    }
    strangers = {
        str(folder)
        for folder in folders
        if not (PACKAGE / folder).is_dir()
        and not (PACKAGE / folder).with_suffix(".py").is_file()
    }

    assert set() == strangers
