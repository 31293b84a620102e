use std::process::ExitCode;

fn main() -> ExitCode {
    defender_bridge::main(std::env::args_os())
}
