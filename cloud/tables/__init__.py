"""The tables that firmware and cloud share, for pages that never retype a label."""
