"""EXAMPLES: small real agents that ship with the package."""
