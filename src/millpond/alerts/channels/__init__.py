"""Where alerts are told: one file a channel, each behind a bounded queue and a thread of its own."""
