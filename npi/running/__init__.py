"""Running a core: computed, tabulated, memoised or compiled; accuracy by size."""
