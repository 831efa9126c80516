"""What only the module's panel needs: its parts, each with the widgets it looks after."""
