//! kappa
