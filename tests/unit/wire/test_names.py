import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import BadName
from wire.limits import MAX_NAME
from wire.names import check_name, is_key, name_key, skeleton


@pytest.mark.parametrize(
    "name", ["alice", "Alice", "bob_1", "a.b-c", "שלום", "Ärger", "日本taro", "x" * MAX_NAME]
)
def test_names_that_can_be(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "at least one"),
        ("x" * (MAX_NAME + 1), "32 characters at most"),
        ("a b", "SPACE"),
        ("b😀b", "GRINNING FACE"),
        ("a\u202eb", "RIGHT-TO-LEFT OVERRIDE"),
        ("a\x1b[2J", "letters, digits"),
        ("a\u200bb", "ZERO WIDTH SPACE"),
        ("-a", "begins with"),
        ("@bob", "letters, digits"),
        ("al\u0456ce", "mixes several"),
        ("\ufb01n", "LIGATURE"),
        ("ß" * (MAX_NAME // 2 + 1), "count as two"),
    ],
)
def test_names_that_cannot_be_say_why(name: str, reason: str) -> None:
    with pytest.raises(BadName, match=reason):
        check_name(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [("lab1", "labl"), ("Iarry", "larry"), ("bob", "b0b"), ("\u0430\u0440\u0435", "ape"), ("worm", "worrn")],
)
def test_names_that_look_alike_share_a_skeleton(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(
    ("one", "other"), [("bob", "rob"), ("sofa", "fofa"), ("ursula", "yrsula"), ("ann", "anv")]
)
def test_names_that_look_different_do_not(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_a_reason(text: str) -> None:
    try:
        shown = check_name(text)
    except BadName as error:
        assert str(error)
    else:
        assert 0 < len(shown) <= MAX_NAME
        assert check_name(shown) == shown
        assert name_key(shown.upper()) == name_key(shown.lower()) or shown.lower() != shown.upper().lower()


@given(st.text(max_size=40))
def test_whoever_can_have_an_account_can_be_named_in_a_list(text: str) -> None:
    try:
        assert is_key(name_key(check_name(text)))
    except BadName:
        return


@pytest.mark.parametrize("text", ["", "a b", "\ufdfa", "x" * (MAX_NAME + 1), "Bob", "a\u202eb", "b😀b"])
def test_what_nobody_can_be_called_is_no_key(text: str) -> None:
    assert not is_key(text)


def test_a_name_is_cut_after_it_was_composed_and_never_to_the_name_of_another() -> None:
    composed = "é" * MAX_NAME
    assert name_key("e\u0301" * MAX_NAME) == name_key(composed) == composed
    for name in ("x" * MAX_NAME, composed):
        assert name_key(name + name[0]) != name_key(name)
