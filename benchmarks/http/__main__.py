"""`python -m benchmarks.http`."""

from benchmarks.http.command import main

if __name__ == "__main__":
    main()
