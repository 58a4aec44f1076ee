"""The states, pins and kinds of mail as Python enums (declared in parties.pxd)."""
