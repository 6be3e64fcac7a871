"""The language between parent and worker: frames, codecs, and the shared memory that large buffers take.

Both ends speak it, `engine/` on the parent's side and `worker/` inside; it decides nothing about calls.
"""
