"""Convolutional attention, from squeeze-and-excitation to CBAM: the package its chapters share.

Each room is imported by its own name (``from cbam_course import attention``), so importing the
package itself loads nothing heavy.
"""

__version__ = "0.1.0"
