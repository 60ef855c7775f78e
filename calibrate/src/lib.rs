//! Measures how gas and fuel relate.
