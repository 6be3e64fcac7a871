"""Where notifications go: one file a channel, each behind a bounded queue and a thread of its own."""
