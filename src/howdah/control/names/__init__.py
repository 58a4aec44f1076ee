"""Host names of servers: what they stand for, and when to ask again."""
