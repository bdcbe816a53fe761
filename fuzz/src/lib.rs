//! The bodies of the fuzz targets, the very file that the stable tests run.

#[path = "../../tests/src/fuzzing/bodies.rs"]
pub mod bodies;
