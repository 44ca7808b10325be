"""CLOUD: models behind HTTP. Knows endpoints and their wire; does not know conversations or engines."""
