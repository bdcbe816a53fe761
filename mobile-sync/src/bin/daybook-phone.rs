//! phone
fn main() {}
