"""Why a distillation works."""
