"""An application with a user model of its own."""
