"""The service in this process: hubs without methods, the door of their clients, and the REST API."""
