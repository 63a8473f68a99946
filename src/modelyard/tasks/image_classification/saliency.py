"""Which pixels a classification depends on."""

import torch
from torch import Tensor, nn

SAMPLES = 16
NOISE = 0.15
"""Standard deviation of the noise, as a share of the range of the input's values."""
_BRIGHTEST = 0.99


def smooth_gradient(model: nn.Module, inputs: Tensor, label: int) -> Tensor:
    """Return SmoothGrad (Smilkov et al., 2017) of one input, float [1, C, S, S]: float [S, S] between 0 and 1.

    That is the gradient of the logit of class ``label``, its magnitude averaged over noisy copies of the input, and the
    largest over the channels. What is above the 99th percentile is 1, so that single pixels do not hide the rest.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((SAMPLES, *inputs.shape[1:]), generator=generator)
    noisy = (inputs + noise * NOISE * (inputs.max() - inputs.min())).requires_grad_()  # [SAMPLES, C, S, S]
    with torch.enable_grad():
        score = model(noisy)[:, label].float().sum()
        (gradient,) = torch.autograd.grad(score, noisy)
    found = gradient.abs().mean(dim=0).amax(dim=0)
    top = torch.quantile(found.flatten(), _BRIGHTEST)
    return (found / top.clamp(min=torch.finfo(found.dtype).tiny)).clamp(max=1)
