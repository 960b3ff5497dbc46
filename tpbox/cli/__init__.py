"""The command line: each command parses, builds a request and makes one call."""
