"""Programs that use Millpond as its users do: nothing here is installed with it."""
