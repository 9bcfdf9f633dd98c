"""One file on disk for everything around one event: format, recorder, retention, reader."""
