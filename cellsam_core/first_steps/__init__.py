"""First steps with own data: propose a sample sheet, check it, and preview the segmentation."""
