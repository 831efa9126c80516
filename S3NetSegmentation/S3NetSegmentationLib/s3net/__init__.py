"""S3-Net, for any image of shape (C, H, W), with torch alone.

`network`, `affine_transform` and `losses` follow the paper, and docs/algorithm.md lists where they
do not; `fit_step` is one step of gradient descent, `fit` the loop around it. `fast` contains fast
operators, `hardware` runs them on the CPU or a GPU.
"""
