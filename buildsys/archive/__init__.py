"""Archive formats: reading members out of archives, writing tarballs and cutting them into reusable frames."""
