"""What a person types: one module per command or group of commands, put together in `main`.

Holds nothing itself. A command's module must not hold logic that another floor could use.
"""
