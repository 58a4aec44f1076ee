"""One howdah process takes over from another: its listening sockets first, then its clients, one by one.

The one that goes is the predecessor (`leaving`), the one that comes the successor (`taking`).  They talk over a Unix
socket (`doorstep`), in `letters` that go over a `line` together with file descriptors.
"""
