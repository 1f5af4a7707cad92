"""The challenger: a watchtower that answers every wrong claim, and needs nobody's trust for it."""
