"""Watching: gates between scoring and publishing, champion and challenger, backtests."""
