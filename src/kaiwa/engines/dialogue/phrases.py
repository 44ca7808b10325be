# ruff: noqa: E501  (rows of words and sentences; a wide character counts twice)
"""The sentences the engine says, in Japanese and English, and how values sound in them. Knows no tool."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from typing import Any, cast

from kaiwa.engines.dialogue.lexicon import say_value
from kaiwa.engines.dialogue.when import When

_WEEKDAYS_JA = "月火水木金土日"
PHRASES: dict[str, dict[str, str]] = {
    "ja": {
        "hello": "こんにちは。ご用件をどうぞ。", "hello_shop": "お電話ありがとうございます。{shop}でございます。ご用件をどうぞ。",
        "hello_name": "こんにちは、{name}です。ご用件をどうぞ。", "look": "お調べしますね。", "look_goal": "かしこまりました。お調べします。",
        "slow": "検索を開始しました。他に何かお手伝いできることはありますか？", "do": "かしこまりました。少々お待ちください。",
        "which": "{label}はどちらになさいますか？", "options": "{label}は{options}からお選びいただけます。どちらになさいますか？",
        "ask_date": "ご希望の日にちはいつですか？", "ask_end_date": "何日までご利用ですか？", "ask_times": "何時から何時までご利用ですか？",
        "ask_start": "何時からがよろしいですか？", "ask_end": "何時までご利用ですか？", "ask_time": "お時間は何時がよろしいですか？",
        "ask_days": "何泊のご予定ですか？", "ask_when_too": "ご利用の日時もあわせてお知らせください。",
        "ask_times_too": "ご利用の時間もあわせてお知らせください。",
        "person": "お名前を伺えますか？", "phone": "お電話番号をお知らせください。", "email": "メールアドレスをお知らせください。",
        "people": "何名様ですか？", "quantity": "数はいくつになさいますか？", "number": "{label}はいくつですか？", "place": "{label}はどちらですか？",
        "query": "何についてお調べしましょうか？", "flag": "{label}をご希望ですか？", "tell": "{label}をお知らせください。",
        "confirm": "{summary}ですね。こちらで{action}を確定してよろしいでしょうか？", "confirm_bare": "{action}を確定してよろしいでしょうか？",
        "change": "かしこまりました。どちらを変更なさいますか？", "dropped": "かしこまりました。取りやめます。他に何かございますか？",
        "repeat_lead": "{summary}ですね。", "none": "あいにくご希望の条件では見つかりませんでした。", "no_free": "あいにくその条件では空きがございません。",
        "other": "別の条件をお知らせください。", "no_option": "あいにく{value}はご用意がございません。", "error": "申し訳ございません。うまく処理できませんでした。",
        "retry": "もう一度お試しになるか、別の条件をお知らせください。", "done": "{action}が完了しました。", "more": "他に何かお手伝いできることはありますか？",
        "running": "ただいま{tasks}を実行しています。もう少々お待ちください。", "wait": "ただいま確認しております。少々お待ちください。",
        "so_far": "いま{percent}パーセントほど進んでいます。", "stopped": "{tasks}を中止しました。",
        "idle": "いま実行中の作業はありません。", "thanks": "どういたしまして。他に何かございますか？", "bye": "ありがとうございました。失礼いたします。",
        "unheard": "恐れ入ります、もう一度お願いできますか？", "nothing": "まだ何もお伝えしていません。ご用件をどうぞ。",
        "can": "こちらでは{tools}を承ります。", "can_none": "いまはあいさつや簡単な受け答えだけができます。",
        "honest": "申し訳ございません。わたしはkaiwaのオフラインのデモ用モデルで、自由な質問にはお答えできません。",
        "identity": "わたしは{name}kaiwaのオフラインのデモ用モデルです。大規模言語モデルでも人間でもありません。", "ok": "かしこまりました。",
        "offer": "このままご予約なさいますか？", "found": "{count}件見つかりました。", "many": "{count}{unit}ございます。", "etc": "ほか", "help_with": "ご用件をお聞かせください。",
    },
    "en": {
        "hello": "Hello! How can I help you?", "hello_shop": "Thank you for calling {shop}. How can I help you?",
        "hello_name": "Hello, this is {name}. How can I help you?", "look": "Let me check.", "look_goal": "Certainly. Let me check.",
        "slow": "I've started the search. Is there anything else I can help you with?", "do": "Certainly. One moment, please.",
        "which": "Which {label} would you like?", "options": "For the {label} you can choose from {options}. Which would you like?",
        "ask_date": "What date would you like?", "ask_end_date": "Until what date?", "ask_times": "From what time until what time?",
        "ask_start": "From what time?", "ask_end": "Until what time?", "ask_time": "What time would you like?",
        "ask_days": "How many nights will you stay?", "ask_when_too": "And for what dates and times?", "ask_times_too": "And from what time until what time?",
        "person": "May I have your name, please?", "phone": "What is your phone number?", "email": "What is your email address?",
        "people": "For how many people?", "quantity": "How many would you like?", "number": "What is the {label}?", "place": "What is the {label}?",
        "query": "What should I search for?", "flag": "Would you like {label}?", "tell": "Please tell me the {label}.",
        "confirm": "Let me read that back: {summary}. Shall I go ahead and {action}?", "confirm_bare": "Shall I go ahead and {action}?",
        "change": "Certainly. What would you like to change?", "dropped": "All right, I won't go ahead. Is there anything else?",
        "repeat_lead": "{summary}.", "none": "I'm sorry, I found nothing that matches.", "no_free": "I'm sorry, nothing is available for that.",
        "other": "Please try something else.", "no_option": "I'm sorry, {value} is not available.", "error": "I'm sorry, that did not work.",
        "retry": "You can try again or tell me something else.", "done": "The {action} is complete.", "more": "Is there anything else I can help you with?",
        "running": "I'm still working on this: {tasks}. One moment, please.", "wait": "I'm still checking. One moment, please.",
        "so_far": "It is about {percent} percent done.", "stopped": "I've stopped this: {tasks}.",
        "idle": "Nothing is running right now.", "thanks": "You're welcome. Is there anything else?", "bye": "Thank you. Goodbye!",
        "unheard": "I'm sorry, could you say that again?", "nothing": "I haven't said anything yet. How can I help you?",
        "can": "I can help you with these: {tools}.", "can_none": "Right now I can only exchange greetings and simple remarks.",
        "honest": "I'm sorry, I'm kaiwa's offline demo model, so I can't answer open questions.",
        "identity": "I'm {name}kaiwa's offline demo model, not a large language model and not a person.", "ok": "Certainly.",
        "offer": "Would you like to book it?", "found": "I found {count}.", "many": "There are {count} {unit}.", "etc": "and more", "help_with": "How can I help you?",
    },
}  # fmt: skip
_COMMON = (
    "look", "look_goal", "slow", "do", "ok", "person", "ask_date", "ask_times", "thanks", "bye", "more", "unheard",
    "change", "offer", "none", "error", "hello", "honest",
)  # fmt: skip
CONFIRM_MARKS = ("よろしいでしょうか", "Shall I go ahead")


def common_phrases(language: str) -> tuple[str, ...]:
    """Return the sentences without values that are said most; worth rendering before the first call."""
    return tuple(PHRASES[language][name] for name in _COMMON)


_ISO = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
)
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def phrase(language: str, key: str, **parts: Any) -> str:
    return PHRASES[language][key].format(**parts).replace(".m..", ".m.")


def say_date(day: date, language: str) -> str:
    """Return a date as it is said: 11月28日土曜日, Saturday, November 28."""
    if language == "ja":
        return f"{day.month}月{day.day}日{_WEEKDAYS_JA[day.weekday()]}曜日"
    return f"{day.strftime('%A')}, {_MONTHS[day.month - 1]} {day.day}"


def say_time(clock: time, language: str) -> str:
    """Return a time as it is said: 10時, 15時半, 10 a.m."""
    if language == "ja":
        minute = "" if clock.minute == 0 else "半" if clock.minute == 30 else f"{clock.minute}分"
        return f"{clock.hour}時{minute}"
    if clock.hour == 12 and clock.minute == 0:
        return "noon"
    minute = f":{clock.minute:02d}" if clock.minute else ""
    return f"{(clock.hour - 1) % 12 + 1}{minute} {'a.m.' if clock.hour < 12 else 'p.m.'}"


def say_moment(day: date | None, clock: time | None, language: str) -> str:
    parts = [say_date(day, language)] if day else []
    parts += [say_time(clock, language)] if clock else []
    return ("" if language == "ja" else " at ").join(parts)


def say_period(when: When, language: str, with_time: bool, with_end: bool) -> str:
    """Return a period: 11月28日土曜日10時から18時."""
    start = say_moment(when.date, when.time if with_time else None, language)
    if not with_end:
        return start
    other_day = when.end_date if when.end_date != when.date else None
    end = say_moment(other_day, when.end_time if with_time else None, language)
    if not start or not end:
        return start or end
    if language == "ja":
        return f"{start}から{end}"
    if with_time and when.time and when.date and not other_day:
        return f"{say_date(when.date, language)} from {say_time(when.time, language)} to {end}"
    return f"{start} to {end}"


def spoken(text: str, language: str) -> str:
    """Return text with ISO dates and times put as they are said."""

    def put(match: re.Match[str]) -> str:
        try:
            day = date(int(match[1]), int(match[2]), int(match[3]))
            clock = time(int(match[4]), int(match[5])) if match[4] else None
        except ValueError:
            return match[0]
        return say_moment(day, clock, language)

    return _ISO.sub(put, text)


def say(value: Any, language: str) -> str:
    """Return any scalar as it is said."""
    if isinstance(value, bool):
        return ("はい" if value else "いいえ") if language == "ja" else ("yes" if value else "no")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    if isinstance(value, list):
        return joined([say(row, language) for row in cast(list[Any], value)[:6]], language)
    if isinstance(value, str):
        if re.fullmatch(r"\d{2}:\d{2}(:\d{2})?", value):
            try:
                return say_time(time.fromisoformat(value), language)
            except ValueError:
                return value
        return say_value(spoken(value, language), language)
    return str(value)


def joined(parts: list[str], language: str) -> str:
    """Return a list as it is said: AとB, A、B、C, "A, B and C"."""
    if language == "ja":
        return "と".join(parts) if len(parts) == 2 else "、".join(parts)
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def moment_of(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
