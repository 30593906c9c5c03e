//! Where models come from: manifest, resolver and the bundled demo model.
