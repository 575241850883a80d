"""CellSAM with the authors' published weights: SAM ViT-B encoders and Anchor DETR.

The weights (`cellsam_general.pt`, for non-commercial academic use, from their authors) are
not part of this package. The code is written from the papers (Kirillov et al. 2023, Segment
Anything; Wang et al. 2022, Anchor DETR; Israel et al., CellSAM) and from the Apache-2.0
repositories of the first two.
"""
