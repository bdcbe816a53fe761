//! mobile-sync
