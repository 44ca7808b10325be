"""Streams of text in a real browser: by the reader of the oldest pages, one event a read, and by a correct one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.browser.conftest import Launch
from tests.browser.scripted import SENTENCES, scripted

from kaiwa.testing.service.script import Rule, Say, Script

pytestmark = pytest.mark.clients

WORDS = "First line, with blanks.\nThe second line: 東京 です。"
SCRIPT = Script(
    rules=(
        Rule(pattern="長く話して.*", answers=(Say(text=SENTENCES),)),
        Rule(pattern=".*", answers=(Say(text=WORDS),)),
    )
)
# What the page of the original relay does with each read, as fact: everything between two `data:`, trimmed.
SIMPLEST = """async (prompt) => {
  const answer = await fetch('/api/chat-stream', {
    method: 'POST', headers: {'content-type': 'application/json', accept: 'text/event-stream'},
    body: JSON.stringify({messages: [{role: 'user', content: prompt}]}),
  });
  const reader = answer.body.getReader(), decoder = new TextDecoder();
  let shown = '';
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return shown;
    shown += decoder.decode(value).split('data:')[1].trim();
  }
}"""
CORRECT = """async (prompt) => {
  const answer = await fetch('/api/chat-stream', {
    method: 'POST', headers: {'content-type': 'application/json'},
    body: JSON.stringify({prompt, events: 'typed'}),
  });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '', shown = '', kinds = [];
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return [shown, kinds];
    const blocks = (rest + value).split('\\n\\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split('\\n');
      const of = (name) => lines.filter((line) => line.startsWith(name + ': ')).map((line) => line.slice(name.length + 2));
      const data = of('data').join('\\n'), kind = of('event')[0];
      if (kind) kinds.push(kind);
      if (kind === 'text') shown += JSON.parse(data).text;
    }
  }
}"""


@pytest.mark.parametrize("prompt", ["こんにちは", "長く話して"])
async def test_the_simplest_page_shows_every_word(launch: Launch, tmp_path: Path, prompt: str) -> None:
    browser = await launch()
    async with scripted(tmp_path, SCRIPT, chat_pace_ms=50) as url:
        page = await browser.new_page()
        await page.goto(url)
        shown = await page.evaluate(SIMPLEST, prompt)
    wanted = SENTENCES if prompt == "長く話して" else WORDS.replace("\n", "")
    assert shown == f"{wanted}[DONE]"


async def test_a_page_that_parses_gets_everything_and_the_kinds_of_it(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path, SCRIPT) as url:
        page = await browser.new_page()
        await page.goto(url)
        shown, kinds = await page.evaluate(CORRECT, "こんにちは")
    assert shown == WORDS
    assert set(kinds) == {"text", "usage", "finish"}
    assert kinds[-2:] == ["usage", "finish"]
