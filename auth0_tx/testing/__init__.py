"""What users test their own code with. Imports nothing until it is used."""
