"""What a valid point is: bytes in, points out, or each fault by its place. Pure; imports `config.errors`."""
