"""What the pool knows: records, queues, clocks and counters. Changed by the floors above, decides nothing."""
