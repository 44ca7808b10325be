"""Running what the pages show: in this process, in a shell or in Node, before a server of the test's own.

Pages say port 8000, and `…` where a reader writes something of their own; nothing else is changed.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.pages import ROOT

PATIENCE_S = 60.0
_PAGES_SERVER = "127.0.0.1:8000"
_CLIENTS = ROOT / "tests/clients/js"
# A refusal fails a block; the shell stops at the first command that fails.
_BEFORE_SHELL = 'set -euo pipefail; curl() { command curl -fsS --max-time 30 "$@"; }\n'
# What a page in a browser has.
_BEFORE_NODE = """
import { createRequire } from "node:module";
globalThis.signalR = createRequire(import.meta.url)("@microsoft/signalr");
const said = [];
globalThis.log = { append: (text) => said.push(text) };
const fetched = globalThis.fetch;
globalThis.fetch = (where, how) => fetched(new URL(where, process.env.SERVER), how);
"""
_AFTER_NODE = """
const until = Date.now() + 10000;
const whole = () => said.join("").length > 8 && (!process.env.END || said.join("").includes(process.env.END));
while (!whole() && Date.now() < until) await new Promise((done) => setTimeout(done, 10));
if (!whole()) throw new Error("no answer came: " + said.join(""));
process.exit(0);
"""


@dataclass
class Place:
    """Where a block runs: a folder of its own, and the address of a server, if there is one."""

    folder: Path
    server: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def adapted(self, text: str) -> str:
        text = text.replace(_PAGES_SERVER, self.server.removeprefix("http://")) if self.server else text
        return text.replace("=…", "=x").replace('"…"', '"x"').replace("sk-…", "sk-x")

    async def shell(self, text: str) -> str:
        return await self._run(["bash", "-c", _BEFORE_SHELL + self.adapted(text)])

    async def node(self, text: str) -> str:
        program = self.folder / "page.mjs"
        (self.folder / "node_modules").symlink_to(_CLIENTS / "node_modules")
        program.write_text(_BEFORE_NODE + self.adapted(text) + _AFTER_NODE, "utf-8")
        self.environment |= {"SERVER": self.server, "END": "完了" if "signalR" in text else ""}
        return await self._run(["node", str(program)])

    async def program(self, text: str) -> str:
        """Run a whole Python program and return what it prints."""
        program = self.folder / "page.py"
        program.write_text(self.adapted(text), "utf-8")
        return await self._run([sys.executable, str(program)])

    async def python(self, text: str) -> None:
        """Run code that awaits at its top, as a notebook or `python -m asyncio` does."""
        code = compile(self.adapted(text), "page", "exec", flags=0x2000)  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        names: dict[str, object] = {"__name__": "page"}
        before = asyncio.all_tasks()
        running = eval(code, names)
        if inspect.isawaitable(running):
            async with asyncio.timeout(PATIENCE_S):
                await running
        for opened in ("stream", "client"):
            if opened in names:
                await names[opened].close()  # type: ignore[attr-defined]
        names.clear()
        if (
            closing := asyncio.all_tasks() - before
        ):  # generators that were left are closed by tasks of the loop
            await asyncio.wait(closing, timeout=PATIENCE_S)

    async def _run(self, command: list[str]) -> str:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        clean = {
            key: value for key, value in os.environ.items() if not re.match("KAIWA_|AZURE_|OPENAI_", key)
        }
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=clean | {"PATH": path} | self.environment,
            cwd=self.folder,
        )
        async with asyncio.timeout(PATIENCE_S):
            told, _ = await process.communicate()
        assert process.returncode == 0, told.decode(errors="replace")[-3000:]
        return told.decode(errors="replace")
