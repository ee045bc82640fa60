"""SmartRetail: predictions from a shop's orders, made inside its own warehouse."""
