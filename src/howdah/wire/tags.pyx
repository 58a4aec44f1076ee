"""The message tags as Python enums (declared in tags.pxd)."""
