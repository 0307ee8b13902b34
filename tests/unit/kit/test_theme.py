import pytest
from rich.style import Style

from shell.kit.theme import STYLES, Theme, resolve, styles


@pytest.mark.parametrize(
    ("environment", "theme"),
    [
        ({}, Theme.DARK),
        ({"COLORFGBG": "15;0"}, Theme.DARK),
        ({"COLORFGBG": "0;15"}, Theme.LIGHT),
        ({"COLORFGBG": "0;default;7"}, Theme.LIGHT),
        ({"PARLEY_THEME": "light"}, Theme.LIGHT),
        ({"PARLEY_THEME": "purple"}, Theme.DARK),
        ({"NO_COLOR": "1", "COLORFGBG": "0;15"}, Theme.NONE),
    ],
)
def test_the_terminal_says_which_theme_fits(environment: dict[str, str], theme: Theme) -> None:
    assert resolve(Theme.AUTO, environment) is theme


def test_what_the_person_says_goes_before_what_the_terminal_says() -> None:
    assert resolve(Theme.DARK, {"COLORFGBG": "0;15"}) is Theme.DARK


@pytest.mark.parametrize("theme", [Theme.DARK, Theme.LIGHT, Theme.NONE])
def test_every_style_is_one_and_none_has_no_colours(theme: Theme, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    parsed = {name: Style.parse(style) for name, style in styles(theme).items()}
    assert parsed.keys() == STYLES.keys()
    if theme is Theme.NONE:
        assert not [name for name, style in parsed.items() if style.color or style.bgcolor]
