"""An incident as one page that needs nothing else, as Markdown for a ticket, or as a picture."""
