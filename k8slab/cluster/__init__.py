"""The cluster behind the rules: API objects, their store, the controllers of the `kubernetes` Service, kubectl."""
