from __future__ import annotations

import pytest

from tuner_sipbridge.agents.frontdesk import (
    FIRST_SENTENCES,
    GREETING,
    LOOK_UP_ORDER,
    Message,
    answer,
    digits_in,
    look_up_order,
)


def talk(*caller: str) -> list[Message]:
    """The conversation in which the caller said this, the agent answered and every tool returned."""
    conversation = [Message("agent", GREETING)]
    for text in caller:
        conversation.append(Message("caller", text))
        reply = answer(conversation)
        if reply.text:
            conversation.append(Message("agent", reply.text))
        if reply.tool:
            result = look_up_order(dict(reply.arguments or {})["order_number"])
            conversation.append(Message("tool", result=result))
            conversation.append(Message("agent", answer(conversation).text))
    return conversation


def reply_to(*caller: str):
    return answer([*talk(*caller[:-1]), Message("caller", caller[-1])])


@pytest.mark.parametrize(
    ("heard", "digits"),
    [
        ("four two seven", "427"),
        ("it's four twenty seven", "427"),
        ("forty two seven please", "427"),
        ("one oh five", "15"),
        ("twenty", "20"),
        ("DTMF: 427#", "427"),
        ("what are your opening hours", ""),
    ],
)
def test_digits_are_read_out_of_speech_and_keys(heard: str, digits: str) -> None:
    assert digits_in(heard) == digits


def test_words_that_sound_like_digits_count_only_where_a_number_is_expected() -> None:
    assert digits_in("for to seven", loosely=True) == "427"
    assert digits_in("i want to wait for my order") == ""
    assert digits_in("one oh five", loosely=True) == "105"


def test_an_order_question_asks_for_the_number_and_then_looks_it_up() -> None:
    assert "order number" in reply_to("hello where is my order").text
    looked_up = reply_to("hello where is my order", "four two seven")
    assert (looked_up.tool, looked_up.arguments) == (LOOK_UP_ORDER, {"order_number": "427"})
    assert looked_up.text
    assert "Order four two seven" in talk("where is my order", "it is four two seven")[-1].text


def test_a_number_given_with_the_question_is_looked_up_at_once() -> None:
    assert reply_to("where is my order number four two seven").arguments == {"order_number": "427"}


def test_a_number_given_in_two_breaths_is_put_together() -> None:
    assert "rest" in reply_to("where is my parcel", "four two").text
    assert reply_to("where is my parcel", "four two", "seven").arguments == {"order_number": "427"}


def test_keys_stand_for_the_spoken_number() -> None:
    assert reply_to("where is my order", "DTMF: 427#").arguments == {"order_number": "427"}


def test_an_unknown_order_is_asked_for_again() -> None:
    conversation = talk("where is my order", "nine three one")
    assert "cannot find" in conversation[-1].text
    again = answer([*conversation, Message("caller", "for to seven")])
    assert again.arguments == {"order_number": "427"}


def test_a_tool_that_failed_is_said_without_a_number() -> None:
    conversation = [Message("caller", "order four two seven"), Message("tool", result={"error": "down"})]
    assert "does not answer" in answer(conversation).text


def test_a_later_question_about_the_order_uses_the_number_already_given() -> None:
    assert reply_to("where is order four two seven", "when will it be delivered").arguments == {
        "order_number": "427"
    }


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        ("what are your opening hours", "We are open from nine"),
        ("actually never mind that tell me your opening hours", "We are open from nine"),
        ("are you open on sunday", "On Sunday we are closed"),
        ("no wait i want to change the delivery address", "new delivery address"),
        ("i want to cancel my order", "colleague"),
        ("can i speak to a human", "colleague"),
        ("stop", "go ahead"),
        ("purple monkey", "did not catch"),
    ],
)
def test_topics(heard: str, said: str) -> None:
    assert said in reply_to(heard).text


def test_the_new_address_is_taken_as_it_was_heard() -> None:
    said = reply_to("i need to change my address", "it's twelve park street").text
    assert "deliver to twelve park street." in said
    assert "deliver to five oak lane." in reply_to("i have moved", "my new address is five oak lane").text


@pytest.mark.parametrize("heard", ["thank you that is all goodbye", "no thanks", "no that's all", "bye bye"])
def test_goodbye_ends_the_call(heard: str) -> None:
    reply = reply_to("what are your opening hours", heard)
    assert reply.hang_up
    assert "Goodbye" in reply.text


def test_a_bare_no_declines_an_offer_and_is_no_end_otherwise() -> None:
    assert reply_to("can i speak to a human", "no").hang_up
    assert not reply_to("no").hang_up


def test_every_fixed_answer_begins_with_a_sentence_known_beforehand() -> None:
    asked = [
        "where is my order",
        "hours",
        "change my address",
        "a refund",
        "stop",
        "yes",
        "goodbye",
        "purple",
    ]
    for text in asked:
        assert reply_to(text).text.startswith(FIRST_SENTENCES)


def test_repeat_says_the_last_thing_again() -> None:
    assert reply_to("what are your opening hours", "could you repeat that").text.startswith("We are open")


def test_nothing_is_answered_to_the_agents_own_words() -> None:
    assert answer([Message("caller", "hello"), Message("agent", "What can I do for you?")]).text == ""
    assert answer([]).text == ""
