"""The documentation site: reference pages that are written by what they describe."""
