"""The local control API: one schema, one server, one client."""
