"""How weights and activations become int8: after training, during it, pruned and clustered."""
