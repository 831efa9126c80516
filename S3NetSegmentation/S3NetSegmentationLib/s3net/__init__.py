"""S3-Net, for any image of shape (C, H, W): the paper, with torch alone.

`network`, `affine` and `losses` are the paper's; `iteration` is one step down the losses, `fit`
the loop around it. `fast` makes it quick, `hardware` puts it on the CPU or a GPU.
"""
