"""The configuration: where settings are written, what is wrong with them, and where each value came from."""

from kaiwa.server.configuration.findings import Finding, Origin, WrongConfiguration
from kaiwa.server.configuration.reading import Configuration, read_configuration

__all__ = ["Configuration", "Finding", "Origin", "WrongConfiguration", "read_configuration"]
