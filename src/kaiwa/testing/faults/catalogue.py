"""The list: every fault there is, by place. docs/faults.md is written from it, `kaiwa faults` prints it."""

from __future__ import annotations

from typing import Final

from kaiwa.testing.faults.kinds import ANY_TOOL, AT, TIMES, Fault, Parameter


def _number(name: str, usual: str, english: str, japanese: str) -> Parameter:
    return Parameter(name=name, usual=usual, english=english, japanese=japanese)


def _after(name: str) -> Parameter:
    return Parameter(
        name=name,
        usual="*delta*",
        english="after the first event that fits",
        japanese="このパターンに合う最初のイベントの直後",
        is_text=True,
    )


_GOES_ON: Final = (
    "by voice the answer goes on, no word lost or told twice; in chat an error event and a proper end",
    "音声の回答は続き、言葉は欠けも重複もしない。チャットではエラーイベントと正しい終了",
)
_NEXT_TRY: Final = (
    "another try or deployment answers; nothing is seen of it",
    "再試行か別のデプロイメントが答え、利用者には見えない",
)
_TOLD: Final = (
    "the model is told in a sentence, and the conversation goes on",
    "モデルに文で伝わり、会話は続く",
)

UPSTREAM: Final = (
    Fault(
        name="upstream-busy",
        place="upstream",
        player="service",
        english="429 with Retry-After",
        japanese="429 と Retry-After",
        outcome=_NEXT_TRY[0],
        japanese_outcome=_NEXT_TRY[1],
        scenario="test_upstream.py::test_a_refusal_is_made_good_by_the_next_try",
        parameters=(_number("retry_after_s", "1", "what Retry-After says", "Retry-After の秒数"), AT, TIMES),
        service={"http_status": "429"},
    ),
    Fault(
        name="upstream-broken",
        place="upstream",
        player="service",
        english="500 instead of an answer",
        japanese="回答の代わりに 500",
        outcome=_NEXT_TRY[0],
        japanese_outcome=_NEXT_TRY[1],
        scenario="test_upstream.py::test_a_refusal_is_made_good_by_the_next_try",
        parameters=(AT, TIMES),
        service={"http_status": "500"},
    ),
    Fault(
        name="upstream-token-expired",
        place="upstream",
        player="service",
        english="401: the token or key is good no longer",
        japanese="401（トークンまたはキーの失効）",
        outcome="another deployment answers; with none left the caller is told, and it ends clearly",
        japanese_outcome="別のデプロイメントが答える。なければ、そう伝えて終わる",
        scenario="test_upstream.py::test_a_token_that_expired_costs_a_try_or_is_said_clearly",
        parameters=(AT, TIMES),
        service={"http_status": "401"},
    ),
    Fault(
        name="upstream-slow-connect",
        place="upstream",
        player="service",
        english="the service takes its time before it lets a session in",
        japanese="接続の受け入れが遅い",
        outcome="what was asked meanwhile is answered, late and whole",
        japanese_outcome="待っていた発話にも、遅れて完全に答える",
        scenario="test_upstream.py::test_a_slow_service_is_waited_for",
        parameters=(_number("connect_delay_s", "2", "how long", "秒数"), AT, TIMES),
    ),
    Fault(
        name="upstream-slow-first-token",
        place="upstream",
        player="service",
        english="the first piece of a chat answer is late",
        japanese="チャットの最初のトークンが遅い",
        outcome="the client sees that somebody is there, and the whole answer",
        japanese_outcome="待っている間も接続が生きていることが分かり、回答は完全",
        scenario="test_upstream.py::test_a_slow_service_is_waited_for",
        parameters=(_number("first_token_s", "3", "how late", "遅れの秒数"), AT, TIMES),
    ),
    Fault(
        name="upstream-reset",
        place="upstream",
        player="service",
        english="the TCP connection is reset in mid-sentence",
        japanese="文の途中で TCP がリセットされる",
        outcome=_GOES_ON[0],
        japanese_outcome=_GOES_ON[1],
        scenario="test_upstream.py::test_an_answer_that_breaks_off_goes_on",
        parameters=(_after("reset_after"), AT, TIMES),
    ),
    Fault(
        name="upstream-cut",
        place="upstream",
        player="service",
        english="the service closes in mid-sentence",
        japanese="文の途中でサービスが切断する",
        outcome=_GOES_ON[0],
        japanese_outcome=_GOES_ON[1],
        scenario="test_upstream.py::test_an_answer_that_breaks_off_goes_on",
        parameters=(_after("close_after"), AT, TIMES),
    ),
    Fault(
        name="upstream-silent",
        place="upstream",
        player="service",
        english="the service neither reads nor writes any more, yet does not close",
        japanese="閉じないまま何も読み書きしない",
        outcome="noticed by its unanswered pings (up to 40 s); then the answer goes on",
        japanese_outcome="応答のない ping で気づき（最長 40 秒）、回答は続く",
        scenario="test_upstream.py::test_a_service_that_falls_silent_is_given_up",
        parameters=(_after("freeze_after"), AT, TIMES),
    ),
    Fault(
        name="upstream-expired",
        place="upstream",
        player="service",
        english="the session's time (60 minutes) is over",
        japanese="セッションの時間切れ（60 分の上限）",
        outcome=_GOES_ON[0],
        japanese_outcome=_GOES_ON[1],
        scenario="test_upstream.py::test_an_answer_that_breaks_off_goes_on",
        parameters=(_number("expire_after_s", "1", "after how long", "何秒後か"), AT, TIMES),
    ),
    Fault(
        name="upstream-server-error",
        place="upstream",
        player="service",
        english="answers fail with server_error; in chat an error inside a 200",
        japanese="server_error で失敗する（チャットでは 200 の中のエラー）",
        outcome="the answer comes from another session; in chat an error event and a proper end",
        japanese_outcome="別のセッションが答える。チャットではエラーイベントと正しい終了",
        scenario="test_upstream.py::test_an_answer_that_fails_is_asked_for_again",
        parameters=(AT, TIMES),
        service={"fail_response": "server_error", "error_after": "delta"},
    ),
)

NETWORK: Final = (
    Fault(
        name="network-cut",
        place="network",
        player="house",
        english="the peer's TCP connection ends without a goodbye",
        japanese="クライアントの TCP が予告なく切れる",
        outcome="with resume: what was missed is told once and in order",
        japanese_outcome="resume なら、聞き逃したイベントが一度だけ順に届く",
        scenario="test_network.py::test_a_cut_connection_is_come_back_to",
        parameters=(
            Parameter(
                name="after",
                usual="response.*.delta",
                english="after events of these types",
                japanese="この種類のイベントの後",
                is_text=True,
            ),
            AT,
            TIMES,
        ),
    ),
    Fault(
        name="network-late",
        place="network",
        player="house",
        english="every frame takes that much longer, both ways",
        japanese="すべてのフレームが両方向で遅れる",
        outcome="everything comes, whole and in order",
        japanese_outcome="すべてが順に届く",
        scenario="test_network.py::test_late_frames_come_whole_and_in_order",
        parameters=(
            _number("late_ms", "200", "how late", "遅れ（ミリ秒）"),
            _number("jitter_ms", "0", "… and up to so much more", "さらに最大でこれだけ揺らぐ"),
        ),
    ),
    Fault(
        name="network-loss",
        place="network",
        player="house",
        english="frames of the caller's sound are lost on their way",
        japanese="発話の音声フレームが途中で失われる",
        outcome="the turn is heard and answered all the same",
        japanese_outcome="それでも発話は聞き取られ、答えがある",
        scenario="test_network.py::test_a_turn_with_lost_sound_is_answered",
        parameters=(_number("share", "0.05", "which share of them", "失われる割合"),),
    ),
    Fault(
        name="network-slow-reader",
        place="network",
        player="house",
        english="the peer reads no faster than this",
        japanese="クライアントの読み取りが遅い",
        outcome="it gets everything; with over 32 MiB waiting it is closed with 1013",
        japanese_outcome="すべて届く。32 MiB を超えて溜まれば 1013 で閉じる",
        scenario="test_network.py::test_a_slow_reader_gets_everything",
        parameters=(_number("bytes_per_s", "16000", "how fast", "毎秒のバイト数"),),
    ),
    Fault(
        name="webrtc-loss",
        place="network",
        player="line",
        english="packets of the call are lost",
        japanese="通話のパケットが失われる",
        outcome="made up for by error correction; the turn is heard and answered",
        japanese_outcome="誤り訂正で補われ、発話は聞き取られて答えがある",
        scenario="test_webrtc.py::test_a_call_over_a_bad_line_is_heard_and_answered",
        parameters=(_number("share", "0.05", "which share of them", "失われる割合"),),
    ),
    Fault(
        name="webrtc-jitter",
        place="network",
        player="line",
        english="packets of the call are late by chance",
        japanese="通話のパケットが不規則に遅れる",
        outcome="smoothed by the buffer; the turn is heard and answered",
        japanese_outcome="バッファが吸収し、発話は聞き取られて答えがある",
        scenario="test_webrtc.py::test_a_call_over_a_bad_line_is_heard_and_answered",
        parameters=(_number("jitter_ms", "40", "how late at most", "最大の遅れ（ミリ秒）"),),
    ),
    Fault(
        name="webrtc-reorder",
        place="network",
        player="line",
        english="packets of the call overtake each other",
        japanese="通話のパケットの順序が入れ替わる",
        outcome="put in order; the turn is heard and answered",
        japanese_outcome="順に並べ直され、発話は聞き取られて答えがある",
        scenario="test_webrtc.py::test_a_call_over_a_bad_line_is_heard_and_answered",
        parameters=(_number("share", "0.05", "which share of them", "入れ替わる割合"),),
    ),
)

PEERS: Final = (
    Fault(
        name="peer-garbage",
        place="peers",
        player="house",
        english="a frame that is no JSON comes from the peer",
        japanese="JSON でないフレームが届く",
        outcome="an error event; the conversation goes on",
        japanese_outcome="エラーイベントを返し、会話は続く",
        scenario="test_peers.py::test_what_a_peer_sends_wrong_is_answered_and_the_talk_goes_on",
        parameters=(AT, TIMES),
    ),
    Fault(
        name="peer-oversize",
        place="peers",
        player="house",
        english="more sound in one event than the protocol allows (15 MiB)",
        japanese="一つのイベントに上限（15 MiB）を超える音声",
        outcome="an error event; the conversation goes on",
        japanese_outcome="エラーイベントを返し、会話は続く",
        scenario="test_peers.py::test_what_a_peer_sends_wrong_is_answered_and_the_talk_goes_on",
        parameters=(AT, TIMES),
    ),
    Fault(
        name="peer-flood",
        place="peers",
        player="house",
        english="so many events at once",
        japanese="大量のイベントが一度に届く",
        outcome="the peer waits, and its next question is answered",
        japanese_outcome="相手を待たせ、次の質問に答える",
        scenario="test_peers.py::test_what_a_peer_sends_wrong_is_answered_and_the_talk_goes_on",
        parameters=(_number("count", "3000", "how many", "イベント数"), AT, TIMES),
    ),
    Fault(
        name="peer-gone",
        place="peers",
        player="house",
        english="the peer drops dead: nothing comes from it and nothing arrives",
        japanese="相手が無言で消える",
        outcome="noticed by its unanswered pings; everything it held is given back",
        japanese_outcome="応答のない ping で気づき、使っていたものをすべて返す",
        scenario="test_peers.py::test_a_peer_that_drops_dead_leaves_nothing_behind",
        parameters=(_number("noticed_s", "40", "when the house notices", "気づくまでの秒数"), AT, TIMES),
    ),
)

TOOLS: Final = (
    Fault(
        name="tool-crash",
        place="tools",
        player="house",
        english="the function raises an exception",
        japanese="関数が例外を投げる",
        outcome=_TOLD[0],
        japanese_outcome=_TOLD[1],
        scenario="test_tools.py::test_a_tool_that_fails_is_told_and_the_next_call_works",
        parameters=(ANY_TOOL, AT, TIMES),
    ),
    Fault(
        name="tool-hang",
        place="tools",
        player="house",
        english="the function does not return",
        japanese="関数が戻らない",
        outcome="ended at its deadline; " + _TOLD[0],
        japanese_outcome="期限で打ち切り、" + _TOLD[1],
        scenario="test_tools.py::test_a_tool_that_fails_is_told_and_the_next_call_works",
        parameters=(ANY_TOOL, AT, TIMES),
    ),
    Fault(
        name="tool-slow",
        place="tools",
        player="house",
        english="the function takes that much longer",
        japanese="関数が遅い",
        outcome="the conversation goes on meanwhile; done once",
        japanese_outcome="その間も会話は続き、実行は一度だけ",
        scenario="test_tools.py::test_a_slow_tool_is_done_once_while_the_talk_goes_on",
        parameters=(_number("for_s", "2", "how long", "秒数"), ANY_TOOL, AT, TIMES),
    ),
    Fault(
        name="tool-garbage",
        place="tools",
        player="house",
        english="the function returns what is no JSON",
        japanese="JSON にできない値を返す",
        outcome=_TOLD[0],
        japanese_outcome=_TOLD[1],
        scenario="test_tools.py::test_a_tool_that_fails_is_told_and_the_next_call_works",
        parameters=(ANY_TOOL, AT, TIMES),
    ),
    Fault(
        name="tool-too-large",
        place="tools",
        player="house",
        english="the function returns more than a model may read",
        japanese="モデルが読める量を超える値を返す",
        outcome="cut to the bound, and said so; the conversation goes on",
        japanese_outcome="上限で切り、そう伝えて会話は続く",
        scenario="test_tools.py::test_a_result_that_is_too_large_is_cut",
        parameters=(_number("size_kb", "1024", "how much", "大きさ（KiB）"), ANY_TOOL, AT, TIMES),
    ),
    Fault(
        name="tool-killed",
        place="tools",
        player="house",
        english="the process of a tool with cpu_bound is killed while it computes",
        japanese="計算中のプロセス（cpu_bound のツール）が強制終了される",
        outcome=_TOLD[0],
        japanese_outcome=_TOLD[1],
        scenario="test_tools.py::test_a_killed_process_costs_one_call",
        parameters=(ANY_TOOL, AT, TIMES),
    ),
)

STORES: Final = (
    Fault(
        name="store-locked",
        place="stores",
        player="house",
        english="another program holds the database's lock (SQLite)",
        japanese="他のプログラムがデータベースをロックしている（SQLite）",
        outcome="the booking waits, and is made once",
        japanese_outcome="予約は待って、一度だけ作られる",
        scenario="test_stores.py::test_a_booking_over_a_troubled_store_is_made_once_or_clearly_not",
        parameters=(_number("for_s", "1", "how long", "秒数"), AT, TIMES),
    ),
    Fault(
        name="store-slow",
        place="stores",
        player="house",
        english="every statement takes that much longer",
        japanese="すべての文の実行が遅い",
        outcome="the booking is made once",
        japanese_outcome="予約は一度だけ作られる",
        scenario="test_stores.py::test_a_booking_over_a_troubled_store_is_made_once_or_clearly_not",
        parameters=(_number("for_ms", "100", "how long", "ミリ秒"),),
    ),
    Fault(
        name="store-down",
        place="stores",
        player="house",
        english="the database is lost in mid-booking, before it is written",
        japanese="予約の書き込み直前にデータベースが落ちる",
        outcome="no booking, and it is said; the next try makes it once",
        japanese_outcome="予約はなく、そう伝える。次の試みで一度だけ作られる",
        scenario="test_stores.py::test_a_booking_over_a_troubled_store_is_made_once_or_clearly_not",
        parameters=(AT, TIMES),
    ),
    Fault(
        name="redis-restart",
        place="stores",
        player="process",
        english="Redis ends and comes back, empty",
        japanese="Redis が落ち、空で戻る",
        outcome="limits are kept by each process meanwhile; requests go on",
        japanese_outcome="その間は各プロセスが上限を守り、要求は続く",
        scenario="test_stores.py::test_requests_go_on_while_redis_restarts",
    ),
)

FAULTS: Final = (*UPSTREAM, *NETWORK, *PEERS, *TOOLS, *STORES)
_BY_NAME: Final = {fault.name: fault for fault in FAULTS}


def fault_named(name: str) -> Fault:
    """Raises ValueError for a name that is not in the list."""
    if name not in _BY_NAME:
        raise ValueError(f"there is no fault {name[:40]!r}")
    return _BY_NAME[name]
