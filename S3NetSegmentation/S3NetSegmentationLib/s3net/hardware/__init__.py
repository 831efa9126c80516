"""The CPU or a GPU, several fits at once, and what happens when a GPU fails."""
