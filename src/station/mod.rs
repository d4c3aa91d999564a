//! The sans-IO core: (state, input, now) to effects. The only place where an order changes state.
