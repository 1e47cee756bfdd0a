//! The program; everything is in the library, so that tests can run it in process.

fn main() -> std::process::ExitCode {
    bimetal_cache::run()
}
