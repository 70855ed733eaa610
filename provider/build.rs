//! The roles are carried inside the program: a changed role is a changed program.
#![expect(clippy::print_stdout, reason = "this is how a build script speaks to Cargo")]

fn main() {
    println!("cargo::rerun-if-changed=../ansible");
}
