"""Cars: shapes of many body styles, pictures of them from any side, collections, and users' own meshes."""
