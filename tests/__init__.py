"""The test suite; its folders mirror apps/."""
