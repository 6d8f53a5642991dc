"""Ridge regression of many targets at once on sparse features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Array = NDArray[np.float64]


def ridge(
    features: csr_matrix, targets: Array, weights: Array, alpha: float, steps: int = 60
) -> tuple[Array, Array]:
    """Coefficients ``(columns, targets)`` and intercepts ``(targets,)``.

    Minimises sum_i w_i |y_i - b - x_i B|^2 + alpha |B|^2 with b the weighted mean of the targets,
    by conjugate gradients on the normal equations, all targets side by side (Hestenes and
    Stiefel, 1952). Stopping early regularises too, so `steps` is part of the recipe.
    """
    root = np.sqrt(weights)
    intercept = weights @ targets / weights.sum()
    x = csr_matrix(features.multiply(root[:, None]), dtype=np.float64)
    transposed = x.T.tocsr()
    residual = transposed @ ((targets - intercept) * root[:, None])
    solution = np.zeros_like(residual)
    direction = residual.copy()
    size = np.einsum("ij,ij->j", residual, residual)
    for _ in range(steps):
        image = transposed @ (x @ direction) + alpha * direction
        step = size / np.maximum(np.einsum("ij,ij->j", direction, image), 1e-30)
        solution += step * direction
        residual -= step * image
        new = np.einsum("ij,ij->j", residual, residual)
        direction = residual + (new / np.maximum(size, 1e-30)) * direction
        size = new
    return solution, intercept
