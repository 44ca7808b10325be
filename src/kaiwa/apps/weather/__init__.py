"""Weather from a small table of typical months: sample data, and it says so."""
