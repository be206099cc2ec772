"""The subcommands, one module each: `add_arguments`, and `run` to an exit status."""
