"""What a trained model is: bases as graphs, tokens, windows, heads, and the classifiers made of them."""
