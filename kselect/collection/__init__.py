"""Experience for policies: students distilled under many conditions, each by many selections."""
