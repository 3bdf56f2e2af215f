"""One file per paper. Import the one you want: `from course_lib.methods.autoencoder import Autoencoder`."""
