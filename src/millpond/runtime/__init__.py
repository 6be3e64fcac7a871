"""Carries out the core's orders on an asyncio loop."""
