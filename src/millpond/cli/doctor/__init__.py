"""The command `doctor`: whether this machine and this user can run pools, what is wrong, and how to mend it."""
