"""How a setting is read, and what is refused.

Text of the environment in, values or a SetupError out. Imports `config.errors` alone: the settings are not there yet."""
