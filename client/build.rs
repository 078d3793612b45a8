//! The texts are compiled in: a change of one has to compile the crate again.

fn main() {
    println!("cargo:rerun-if-changed=locales");
}
