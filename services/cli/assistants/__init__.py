"""A server of the Model Context Protocol: assistants read a running suite with its tools."""
