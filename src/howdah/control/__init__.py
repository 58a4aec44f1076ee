"""The control plane: configuration, start and stop, name resolution, logs and the admin console, on asyncio."""
