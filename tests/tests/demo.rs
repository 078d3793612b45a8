//! The demo is what a newcomer sees first, so it is a test.
#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn the_demo_holds_in_both_languages() {
    for language in ["en", "id"] {
        let dir = tempfile::tempdir().unwrap();
        let _ = renaksi_tests::program("renaksid");
        let output = Command::new(renaksi_tests::program("renaksi"))
            .args(["--lang", language, "demo", "--dir"])
            .arg(dir.path().join("demo"))
            // The programs are built; the demo must not build them again under the test runner.
            .env_remove("CARGO")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(told.matches('✓').count(), 8, "{told}");
        assert!(!told.contains('✗'));
    }
}
