"""Training and export of LoRA adapters on the base."""
