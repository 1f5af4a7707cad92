"""What every daemon needs and no rule depends on: configuration, clock, store, logs, the runtime's scaffold, instrument names."""
