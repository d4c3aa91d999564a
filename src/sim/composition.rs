//! All simulators together: what `printstation sim` and `demo` start.
