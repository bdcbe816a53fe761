//! The command-line phone.
