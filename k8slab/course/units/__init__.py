"""The units, one file each: what they ask, and what is right, in data."""
