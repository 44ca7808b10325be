"""The `kaiwa` command. Knows options and exit codes; every command imports what it needs when it runs.

Exit codes: 0 fine, 1 the work says no (a misunderstood turn, a failed check), 2 it could not be tried.
"""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kaiwa.cli import chainlit, config, functions, keys, rehearsal, rentacar
from kaiwa.errors import ConfigError

app = typer.Typer(
    name="kaiwa",
    help="A self-hosted, real-time conversation server (会話).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

COULD_NOT_TRY = 2

app.add_typer(rentacar.app, name="rentacar")
app.add_typer(keys.app, name="keys")
app.add_typer(config.app, name="config")
app.add_typer(functions.app, name="functions")
app.command()(rehearsal.record)
app.command()(rehearsal.replay)
app.command()(rehearsal.call)
app.command()(rehearsal.faults)
app.add_typer(chainlit.app, name="chainlit")


class Played(StrEnum):
    openai = "openai"
    azure = "azure"


class Detection(StrEnum):
    semantic_vad = "semantic_vad"
    server_vad = "server_vad"


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"kaiwa {version('kaiwa')}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A self-hosted, real-time conversation server (会話)."""


@app.command()
def serve(
    agent: Annotated[str | None, typer.Argument(help="A bundled agent or module:name.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    database: Annotated[str | None, typer.Option(help="Where reservations go: a file or URL.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    tls_self_signed: Annotated[
        bool | None, typer.Option("--tls-self-signed", help="Speak TLS with a certificate made here.")
    ] = None,
    tls_port: Annotated[
        int | None, typer.Option(help="A second port for TLS; --port stays plain then.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="So many processes share the port.")] = None,
    test_mode: Annotated[
        bool | None, typer.Option("--test-mode", help="Requests may choose what goes wrong.")
    ] = None,
    test_faults: Annotated[
        str | None, typer.Option(help="… for all of them: NAME;at=2,NAME. See `kaiwa faults`.")
    ] = None,
    file: config.File = None,
) -> None:
    """Serve an agent to every Realtime client. Options win over the environment, .env and kaiwa.toml."""
    from kaiwa.cli.serving import serve_agent

    serve_agent(
        file,
        agent=agent,
        host=host,
        port=port,
        database=database,
        log_level=log_level,
        tls_self_signed=tls_self_signed,
        tls_port=tls_port,
        workers=workers,
        test_mode=test_mode,
        test_faults=test_faults,
    )


@app.command()
def demo(
    lang: Annotated[str, typer.Option(help="Language of the bundled caller: ja or en.")] = "ja",
    script: Annotated[Path | None, typer.Option(help="Another caller: a script.json with its WAVs.")] = None,
    wav: Annotated[Path, typer.Option(help="Where the stereo recording goes.")] = Path("kaiwa-demo.wav"),
    url: Annotated[str | None, typer.Option(help="Call this running server instead of our own.")] = None,
    api_key: Annotated[str | None, typer.Option(envvar="KAIWA_DEMO_API_KEY", help="Key for --url.")] = None,
    turn_detection: Annotated[Detection, typer.Option(help="How turns end.")] = Detection.semantic_vad,
    silence_ms: Annotated[int | None, typer.Option(help="Silence that ends a turn (server_vad).")] = None,
    pace: Annotated[float, typer.Option(help="Speak and listen faster than real time.", min=0.1)] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, nothing else.")] = False,
) -> None:
    """Let a recorded caller book a car by voice; fail when a turn was misunderstood."""
    from rich.console import Console

    from kaiwa.apps.demo.script import bundled_script
    from kaiwa.cli.demo import DemoOptions, run_demo
    from kaiwa.cli.demo_view import SilentView, TerminalView, print_result, result_as_json

    console = Console(highlight=False, soft_wrap=True)
    options = DemoOptions(
        script=script or bundled_script(lang),
        wav=wav,
        url=url,
        api_key=api_key,
        turn_detection=turn_detection.value,
        silence_ms=silence_ms,
        pace=pace,
    )
    result = asyncio.run(run_demo(options, SilentView() if as_json else TerminalView(console)))
    if as_json:
        print(result_as_json(result, str(wav)))
    else:
        print_result(console, result, str(wav))
    raise typer.Exit(0 if result.ok else 1)


@app.command()
def talk(
    url: Annotated[str | None, typer.Option(help="A running server; otherwise one is started.")] = None,
    agent: Annotated[str, typer.Option(help="Which agent to start.")] = "rentacar",
    api_key: Annotated[str | None, typer.Option(envvar="KAIWA_TALK_API_KEY", help="Key for --url.")] = None,
    lang: Annotated[str, typer.Option(help="Language you speak.")] = "ja",
) -> None:
    """Talk to an agent with this machine's microphone and loudspeaker."""
    from kaiwa.cli.talk import talk_to

    asyncio.run(talk_to(url=url, agent=agent, api_key=api_key, language=lang))


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, nothing else.")] = False,
    patience_s: Annotated[float, typer.Option("--timeout", help="Seconds for each check.", min=0.1)] = 10,
    file: config.File = None,
) -> None:
    """Say what works on this machine and with its services, and how to mend what does not (診断)."""
    from kaiwa.cli.doctor import examine, print_findings
    from kaiwa.cli.doctor_checks import checks_for
    from kaiwa.server.configuration import read_configuration

    checks = checks_for(read_configuration(file=file))
    findings = asyncio.run(examine(checks, patience_s=patience_s))
    raise typer.Exit(print_findings(findings, as_json=as_json))


@app.command()
def emulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0: a free one.")] = 9000,
    flavour: Annotated[Played | None, typer.Option(help="Play one service only; otherwise both.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="A key it accepts; may be repeated.")] = None,
    script: Annotated[Path | None, typer.Option(help="What it hears and answers (JSON).")] = None,
    fault: Annotated[str, typer.Option(help="What goes wrong: name=value,name=value.")] = "",
    habit: Annotated[str, typer.Option(help="How chat behaves: chunks_per_s=50,chunks=200.")] = "",
    seed: Annotated[int, typer.Option(help="Its ids are the same for the same seed.")] = 0,
) -> None:
    """Stand in for OpenAI's and Azure's Realtime and chat services: no key, no cloud, faults on demand."""
    from kaiwa.cli.emulate import DEFAULT_KEY, EmulateOptions, run

    run(
        EmulateOptions(
            host=host,
            port=port,
            flavour=flavour.value if flavour else None,
            keys=tuple(key or (DEFAULT_KEY,)),
            script=script,
            faults=fault,
            habits=habit,
            seed=seed,
        )
    )


@app.command()
def mcp(
    agent: Annotated[str | None, typer.Argument(help="A bundled agent or module:name.")] = None,
    http: Annotated[bool, typer.Option("--http", help="Streamable HTTP at /mcp; otherwise stdio.")] = False,
    host: Annotated[str | None, typer.Option(help="Address to listen on (--http).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (--http); 0: a free one.")] = None,
    database: Annotated[str | None, typer.Option(help="Where reservations go: a file or URL.")] = None,
    client_confirms: Annotated[
        bool, typer.Option("--client-confirms", help="The client asks its user before each change.")
    ] = False,
) -> None:
    """Serve an agent's tools as an MCP server; the rental car desk unless another is named."""
    from kaiwa.cli.mcp import McpOptions, run

    run(McpOptions(agent, http, host, port, database, client_confirms))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(context: typer.Context) -> None:
    """Measure this machine; only in a clone of the repository, where bench/ is."""
    import subprocess

    if not Path("bench/__main__.py").is_file():
        raise ConfigError(
            "bench", "there is no bench/ in this folder.", "Run it in a clone of the repository."
        )
    raise typer.Exit(subprocess.call([sys.executable, "-m", "bench", *context.args]))


def main() -> None:
    """Run the command line; a setting that is wrong ends it with a sentence instead of a trace."""
    try:
        app()
    except ConfigError as error:
        print(f"kaiwa: {error}", file=sys.stderr)
        if japanese := getattr(error, "japanese", None):
            print(japanese, file=sys.stderr)
        raise SystemExit(COULD_NOT_TRY) from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None
