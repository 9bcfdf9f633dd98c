"""What was recorded, in the formats of other programs; all of them work on an incident and on a live ring."""
