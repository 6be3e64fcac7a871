"""What happened, added up: histograms, windows, derived values, health, history."""
