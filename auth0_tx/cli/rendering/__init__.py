"""Values to text: pure functions that escape every control character."""
