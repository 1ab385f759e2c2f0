//! A real Synapse for the tests and the demo.
