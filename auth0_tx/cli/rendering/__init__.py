"""Values to text: pure functions, which no control character passes unescaped."""
