//! The roles are carried inside the program: a changed role is a changed program.

fn main() {
    println!("cargo::rerun-if-changed=../ansible");
}
