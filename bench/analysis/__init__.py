"""What it costs to see what a text may do to its session; the bar is 150 ns for 100 bytes that do nothing."""
