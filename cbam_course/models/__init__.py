"""Networks that take an attention factory and put one block after each of their stages."""

from .cifar_cnn import CifarCNN

__all__ = ["CifarCNN"]
