"""What talks: the MCP server, its transports, and the command line."""
