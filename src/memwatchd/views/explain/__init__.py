"""An explained event as a person, a ticket and a program want it: `text`, `markdown`, `document` (JSON)."""
