"""`millpond warm-report`: what each way of having a worker ready costs, measured for one handler."""
