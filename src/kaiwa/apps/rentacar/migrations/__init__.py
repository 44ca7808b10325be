"""The schema's history, one step a file in `versions`; `schema.py` walks it."""
