"""The paper: network, deformable convolution, losses, fitting. For any (C, H, W) image."""
