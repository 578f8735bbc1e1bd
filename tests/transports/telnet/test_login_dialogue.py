"""The login dialogue: what is asked, what is shown, and how it ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import limits
from console.transports.telnet.login_dialogue import EMPTY_USER_NAMES, Attempt, Ended, LoginDialogue


def dialogue_of(banner="demo 1.0", *, telnet=True, echo=True, **settings):
    """Make a dialogue for a telnet client, and drop what it shows first."""
    dialogue = LoginDialogue(banner, client_speaks_telnet=lambda: telnet, echo=echo, **settings)
    dialogue.take_output()
    return dialogue


def answer(dialogue, text):
    """Type text; return the results and the output."""
    dialogue.feed(text)
    return dialogue.next(), dialogue.take_output()


def test_banner_stands_above_the_first_prompt():
    """The first output is an empty line, the banner line by line, and the user prompt."""
    dialogue = LoginDialogue("demo\n1.0\n", client_speaks_telnet=lambda: True)
    assert dialogue.take_output() == "\r\ndemo\r\n1.0\r\nusername: "


def test_password_is_shown_as_stars():
    """The user name is echoed as typed and the password as one star a character."""
    dialogue = dialogue_of()
    assert answer(dialogue, "boss\r") == (None, "boss\r\npassword: ")
    assert answer(dialogue, "sek") == (None, "***")
    assert answer(dialogue, "rit\r") == (Attempt("boss", "sekrit"), "***\r\n")


def test_secrets_are_not_in_the_repr():
    """An attempt can be logged without giving the password or the code away."""
    assert repr(Attempt("boss", "sekrit", "123456")) == "Attempt(user='boss')"


def test_everybody_is_asked_for_a_code():
    """With ask_code the code comes after the password, as stars, before anything is verified."""
    dialogue = dialogue_of(ask_code=True)
    assert answer(dialogue, "boss\r") == (None, "boss\r\npassword: ")
    assert answer(dialogue, "sekrit\r") == (
        None,
        "******\r\ncode (Enter if you have none): ",
    )
    assert answer(dialogue, "123 456\r") == (
        Attempt("boss", "sekrit", "123 456"),
        "*******\r\n",
    )
    assert dialogue.rejected() is None
    assert answer(dialogue, "ann\r")[1] == "login incorrect\r\nusername: ann\r\npassword: "
    assert answer(dialogue, "other\r\r")[0] == Attempt("ann", "other", "")


def test_the_session_is_not_masked_after_a_code():
    """What is typed behind the code is left for the session."""
    dialogue = dialogue_of(ask_code=True)
    assert answer(dialogue, "boss\rsekrit\r123456\r1 + 1\r")[0] == Attempt(
        "boss", "sekrit", "123456"
    )
    assert dialogue.accepted() == "1 + 1\r"


def test_the_code_can_be_switched_on_until_the_password_is_typed():
    """A transport that learns late whether codes are asked for still asks."""
    dialogue = dialogue_of()
    assert answer(dialogue, "boss\rsek")[0] is None
    dialogue.ask_code = True
    assert answer(dialogue, "rit\r")[0] is None
    assert answer(dialogue, "1\r")[0] == Attempt("boss", "sekrit", "1")


@pytest.mark.parametrize("ask_code", [False, True])
def test_a_finished_dialogue_keeps_no_secret(ask_code):
    """Neither an attempt nor an end leaves what was typed in the dialogue."""
    for last in ("123456\r", "\x03"):
        dialogue = dialogue_of(ask_code=ask_code)
        answer(dialogue, f"boss\rsekrit\r{last}")
        assert "sekrit" not in repr(vars(dialogue))


def test_text_waits_for_the_verdict():
    """Nothing is read while an attempt is verified; accepted() hands it over as it was typed."""
    dialogue = dialogue_of()
    assert answer(dialogue, "boss\rsekrit\r1 +")[0] == Attempt("boss", "sekrit")
    assert answer(dialogue, " 1\r\x1b[A\x03") == (None, "")
    assert dialogue.accepted() == "1 + 1\r\x1b[A\x03"
    assert dialogue.next() is None
    assert dialogue.take_output() == ""


def test_tries_end():
    """After the last wrong try the dialogue says goodbye and ends."""
    dialogue = dialogue_of(tries=2)
    dialogue.feed("boss\rwrong\rboss\rwrong\rmore\r")
    assert dialogue.next() == Attempt("boss", "wrong")
    dialogue.take_output()
    assert dialogue.rejected() is None
    assert dialogue.take_output() == "login incorrect\r\nusername: "
    assert dialogue.next() == Attempt("boss", "wrong")
    dialogue.take_output()
    assert dialogue.rejected() == Ended("too many login tries", broken_rule=True)
    assert dialogue.take_output() == "login incorrect\r\ntoo many tries, goodbye\r\n"
    assert dialogue.next() is None


def test_default_tries():
    """A connection has as many tries as limits.py says."""
    dialogue = dialogue_of()
    for _ in range(limits.LOGIN_TRIES - 1):
        assert answer(dialogue, "a\rb\r")[0] == Attempt("a", "b")
        assert dialogue.rejected() is None
    assert answer(dialogue, "a\rb\r")[0] == Attempt("a", "b")
    assert dialogue.rejected() is not None


@pytest.mark.parametrize(("key", "reason"), [("\x03", "interrupted"), ("\x04", "end of input")])
@pytest.mark.parametrize("before", ["", "boss\r", "boss\rsekrit\r"])
def test_leaving_keys_end_the_dialogue(before, key, reason):
    """^C and ^D at each prompt end the dialogue, without breaking a rule."""
    dialogue = dialogue_of(ask_code=True)
    event, output = answer(dialogue, before + key)
    assert event == Ended(reason)
    assert output.endswith("\r\n")
    assert answer(dialogue, "boss\rsekrit\r") == (None, "")


def test_end_of_input_uses_what_is_there():
    """The end of the input delivers a complete attempt first, and ends the dialogue after it."""
    dialogue = dialogue_of(telnet=False, echo=False)
    dialogue.feed_eof()
    dialogue.feed("boss\nsekrit")
    assert dialogue.next() == Attempt("boss", "sekrit")
    dialogue.rejected()
    assert dialogue.next() == Ended("end of input")


def test_empty_user_names_are_asked_again_but_not_for_ever():
    """Enter at the user prompt costs no try, and the tenth one ends the dialogue."""
    dialogue = dialogue_of()
    for _ in range(EMPTY_USER_NAMES - 1):
        assert answer(dialogue, "\r") == (None, "\r\nusername: ")
    event, output = answer(dialogue, " \r")
    assert event == Ended("no user name", broken_rule=True)
    assert output == " \r\nno user name, goodbye\r\n"


def test_an_empty_password_is_an_attempt():
    """An empty password is verified like any other."""
    assert answer(dialogue_of(), "boss\r\r")[0] == Attempt("boss", "")


def test_a_client_without_telnet_is_warned():
    """A client that never negotiated is warned, once and before the prompt, that it will show."""
    dialogue = dialogue_of(telnet=False, echo=False)
    _, output = answer(dialogue, "boss\n")
    warning, prompt = output.split("\r\n")
    assert "no telnet client" in warning
    assert prompt == "password: "
    answer(dialogue, "wrong\n")
    dialogue.rejected()
    assert answer(dialogue, "boss\n")[1] == "login incorrect\r\nusername: password: "


def test_a_telnet_client_that_echoes_is_warned():
    """A telnet client that keeps its own echo is warned that the password will show."""
    _, output = answer(dialogue_of(telnet=True, echo=False), "boss\r")
    assert "the password will show" in output


def test_echo_follows_the_client():
    """The echo begins when the client leaves it to us, and shows no character twice."""
    dialogue = dialogue_of(echo=False)
    assert answer(dialogue, "bo") == (None, "")
    dialogue.echo = True
    assert dialogue.echo
    assert answer(dialogue, "ss\r") == (None, "ss\r\npassword: ")


def test_long_answers_are_cut():
    """A user name and a password are cut at the limit."""
    event, _ = answer(dialogue_of(), "u" * 1000 + "\r" + "p" * 1000 + "\r")
    limit = limits.LOGIN_LINE_CHARACTERS
    assert event == Attempt("u" * limit, "p" * limit)


@given(text=st.text(), echo=st.booleans(), telnet=st.booleans(), ask_code=st.booleans())
def test_any_text_ends_somewhere(text, echo, telnet, ask_code):
    """Arbitrary text and the end of input always end the dialogue, without an exception."""
    dialogue = dialogue_of(echo=echo, telnet=telnet, ask_code=ask_code)
    dialogue.feed(text)
    dialogue.feed_eof()
    for _ in range(limits.LOGIN_TRIES + 1):
        match dialogue.next():
            case Attempt():
                if dialogue.rejected() is not None:
                    break
            case Ended():
                break
    else:
        pytest.fail("the dialogue goes on")
    assert dialogue.next() is None
