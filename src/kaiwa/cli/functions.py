"""`kaiwa functions serve`: an Azure Functions app on this machine, without Core Tools. Knows options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Run Azure Functions apps in Python (関数アプリの実行).", no_args_is_help=True)


@app.callback()
def functions() -> None:
    """Keep `serve` a command of its own: an app with one command would take its place."""


@app.command()
def serve(
    directory: Annotated[Path, typer.Argument(help="The folder that holds host.json.")] = Path("."),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="Port; else local.settings.json's, else 7071.")] = None,
    python: Annotated[Path | None, typer.Option(help="The Python that runs the app; else its .venv.")] = None,
    libraries: Annotated[Path | None, typer.Option(help="The worker's code; else .funcs.")] = None,
    key: Annotated[
        str | None, typer.Option(envvar="KAIWA_FUNCTIONS_KEY", help="Key for functions that ask for one.")
    ] = None,
) -> None:
    """Serve a Functions app with HTTP and SignalR bindings; kaiwa's own hub stands for Azure SignalR."""
    from kaiwa.cli.functions_serving import FunctionsOptions, run

    run(FunctionsOptions(directory, host, port, python, libraries, key))
