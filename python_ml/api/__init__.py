"""The REST API: look-ups of what is published, and scores of what is asked."""
