"""The pictures in the documentation: they are there, and the console still looks like them."""

import re
import sys
from html import unescape

import pytest

from support.clients import need
from support.servers import ROOT

PLACE = ROOT / "docs" / "screenshots"
if not PLACE.is_dir():
    pytest.skip(
        f"{PLACE} is not here: the tests run without the documentation", allow_module_level=True
    )
sys.path.insert(0, str(PLACE))

from take import SCENES, Stage  # noqa: E402 - beside the pictures

IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


def text_of(picture):
    """Return what a picture shows, as text."""
    return unescape(re.search(r"<desc>(.*?)</desc>", picture, re.DOTALL)[1])


def test_each_picture_is_there():
    """README and docs name each picture that is taken, and each that they name is there."""
    named = {}
    for page in PAGES:
        for words, target in IMAGE.findall(page.read_text("utf-8")):
            named[(page.parent / target).resolve()] = words
    taken = {path for path in named if path.parent == PLACE}
    assert taken == {PLACE / f"{scene.name}.svg" for scene in SCENES}
    assert all(path.is_file() and words for path, words in named.items())


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_what_a_picture_shows(scene):
    """The picture in the documentation shows what its scene promises."""
    text = text_of((PLACE / f"{scene.name}.svg").read_text("utf-8"))
    assert [promised for promised in scene.shows if promised not in text] == []


def test_the_pictures_can_be_taken_again(tmp_path):
    """Played anew with real clients, each scene ends with what it promises."""
    for program in ("bash", "telnet", "ssh", "nc"):
        need(program)
    with Stage(tmp_path, 0, 0) as stage:
        for scene in SCENES:
            text = text_of(stage.take(scene))
            assert [promised for promised in scene.shows if promised not in text] == []
