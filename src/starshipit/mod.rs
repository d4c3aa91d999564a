//! Starshipit: typed client, tolerant wire types, limiter; its errors mapped to domain codes.
