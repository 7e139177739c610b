"""From a folder or a workspace to arrays in memory: sources, cache, split, augmentation, sampling."""
