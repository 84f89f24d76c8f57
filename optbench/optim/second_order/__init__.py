"""What knows of curvature: Hessians, Gauss-Newton and Fisher matrices, or estimates of them."""
