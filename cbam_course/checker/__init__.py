"""Is my CBAM right? A block is judged by what it computes, never by its names or its source."""

from .judge import check
from .report import Finding, Report

__all__ = ["Finding", "Report", "check"]
