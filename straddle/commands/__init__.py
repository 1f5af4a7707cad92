"""One module for each subcommand. They import what they run only when they run it."""
