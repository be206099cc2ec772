"""The rooms that touch the world: drivers, and one transport for each HTTP library."""
