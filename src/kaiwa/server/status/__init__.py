"""How the house is, for who runs it: `/api/status` and the page `/status`. Numbers and names; no words."""
