//! From a form to a workspace: what was asked for, as HCL that plans the same anywhere.
