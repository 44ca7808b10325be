"""HOUSE: the composition root, the only place that knows a concrete door, engine and toolbox at once."""
