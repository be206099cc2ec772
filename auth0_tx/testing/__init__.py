"""Tools for testing code that uses the package. Imports nothing until it is used."""
