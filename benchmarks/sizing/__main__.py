"""`python -m benchmarks.sizing`."""

from benchmarks.sizing.command import main

if __name__ == "__main__":
    main()
