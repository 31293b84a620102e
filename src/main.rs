use std::process::ExitCode;

fn main() -> ExitCode {
    defender_bridge::run::main(std::env::args_os())
}
