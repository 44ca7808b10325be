"""A conversation that the service behind kaiwa decides; kaiwa pins settings, adds tools and ends it well."""
